import { describe, expect, it } from 'vitest';
import { pickMetadata } from '#dino/cli/import/metadata-fields.js';
import { ImportTally } from '#dino/cli/import/import-tally.js';
import { isShard } from '#dino/cli/import/shard-reader.js';

describe('metadata of a .json member', () => {
  it('is what fits into a collection; nulls are no values, the rest is named', () => {
    const picked = pickMetadata({
      a: 'x',
      b: 1.5,
      c: false,
      d: [],
      e: ['x'],
      f: [1],
      g: null,
      h: {},
      i: ['x', 1],
      j: [true],
    });
    expect(picked).toEqual({
      metadata: { a: 'x', b: 1.5, c: false, d: [], e: ['x'], f: [1] },
      leftOut: ['h', 'i', 'j'],
    });
  });

  it('keeps a field called __proto__ as a field', () => {
    const { metadata } = pickMetadata(JSON.parse('{"__proto__":"x"}') as object);
    expect(Object.entries(metadata)).toEqual([['__proto__', 'x']]);
  });
});

describe('the tally of an import', () => {
  it('counts what became of each image', () => {
    const tally = new ImportTally();
    for (const status of ['created', 'created', 'replaced', 'unchanged'] as const)
      tally.add('s', { id: 'x', status });
    const error = { type: 't', title: 't', status: 415, detail: 'no image', instance: 'i' };
    tally.add('b.jpg', { id: 'b', status: 'failed', error });
    tally.skip('txt');
    expect(tally).toMatchObject({ stored: 2, replaced: 1, unchanged: 1, failed: 1, skipped: 1, images: 5 });
    expect(tally.failures).toEqual([{ source: 'b.jpg', reason: 'no image' }]);
  });

  it('stays small however much fails and however many kinds of files there are', () => {
    const tally = new ImportTally();
    for (let i = 0; i < 5000; i++) {
      tally.fail(`${i}.jpg`, 'broken');
      tally.skip(`x${i}`);
    }
    expect(tally.failed).toBe(5000);
    expect(tally.failures).toHaveLength(1000);
    expect(tally.skippedKinds.size).toBe(21);
    expect([...tally.skippedKinds.values()].reduce((sum, n) => sum + n, 0)).toBe(5000);
  });
});

it.each([
  ['a.tar', true],
  ['a.TAR.GZ', true],
  ['a.tgz', true],
  ['tar', false],
  ['a.tar.xz', false],
  ['photos', false],
])('%s is a shard: %s', (path, expected) => {
  expect(isShard(path)).toBe(expected);
});
