import { describe, expect, it } from 'vitest';
import { Nearest } from '#dino/collections/embedded/nearest.js';
import { planSearch } from '#dino/collections/embedded/search-plan.js';
import { compareIds } from '#dino/collections/id-order.js';
import { byCodePoint, createRandom } from '../../contracts/collection-fixtures.js';

describe('Nearest', () => {
  it.each([1, 2, 10, 500, 2000])(
    'keeps the best %i of a thousand, in order, as sorting them all does',
    (k) => {
      const random = createRandom(k);
      const offers = Array.from({ length: 1000 }, (_, slot) => ({
        slot,
        score: Math.floor(random() * 50) / 50,
      }));
      const nearest = new Nearest(k, (a, b) => a - b);
      for (const { slot, score } of offers.toSorted(() => random() - 0.5)) nearest.offer(slot, score);
      const expected = offers.toSorted((a, b) => b.score - a.score || a.slot - b.slot).slice(0, k);
      expect(nearest.ranked()).toEqual(expected);
      expect(nearest.size).toBe(expected.length);
      expect(nearest.floor).toBe(k > 1000 ? -Infinity : expected.at(-1)!.score);
    },
  );
});

describe('compareIds', () => {
  it('orders as UTF-8 does', () => {
    const random = createRandom(9);
    const points = [
      0x20, 0x61, 0x7f, 0x80, 0xe9, 0x7ff, 0xd7ff, 0xe000, 0xff5e, 0xffff, 0x10000, 0x1f600, 0x10ffff,
    ];
    const text = (): string =>
      String.fromCodePoint(
        ...Array.from(
          { length: Math.floor(random() * 4) },
          () => points[Math.floor(random() * points.length)]!,
        ),
      );
    for (let i = 0; i < 5000; i++) {
      const [a, b] = [text(), text()];
      expect(Math.sign(compareIds(a, b)), JSON.stringify([a, b])).toBe(Math.sign(byCodePoint(a, b)));
    }
  });
});

describe('planSearch', () => {
  const large = {
    exact: undefined,
    live: 1_000_000,
    pool: 1_000_000,
    candidates: 64,
    missing: 0,
    exactBelow: 10_000,
  };

  it('follows the graph in a large collection', () => {
    expect(planSearch(large)).toBe('graph');
  });

  it.each([
    ['there is no graph', { missing: undefined }],
    ['there is no graph, even when it is asked for', { missing: undefined, exact: false }],
    ['the query says exact', { exact: true }],
    ['the collection is small', { live: 9999, pool: 9999 }],
    ['the filter leaves little', { pool: 9999 }],
    ['the filter leaves so little that the graph would be walked at length', { pool: 30_000 }],
    ['the candidates are a large share of all', { live: 20_000, pool: 20_000, candidates: 2000 }],
    ['the graph lacks most of it', { missing: 999_000 }],
  ])('scans when %s', (_, change) => {
    expect(planSearch({ ...large, ...change })).toBe('scan');
  });

  it('follows the graph when the query says so, whatever it costs', () => {
    expect(planSearch({ ...large, exact: false, live: 10, pool: 1, missing: 10 })).toBe('graph');
  });
});
