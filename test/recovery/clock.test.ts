import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Engine } from '#dino/collections/embedded/engine.js';
import { encodeMetadata, encodePatch } from '#dino/collections/validate-image.js';
import { image, settings } from '../contracts/collection-fixtures.js';

describe('a clock that goes backwards', () => {
  let dataDir: string;
  let time: string;
  let engine: Engine;
  const openEngine = (): Engine =>
    Engine.open(
      { dataDir, exactBelow: 1, saveGraphEvery: 10, threads: 1, contentFilesFrom: 1000 },
      (message) => expect.unreachable(message),
      () => new Date(time),
    );
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'dino-clock-'));
    time = '2030-01-01T00:00:00.000Z';
    engine = openEngine();
    engine.createCollection('c', settings());
  });
  afterEach(async () => {
    engine.close();
    await rm(dataDir, { recursive: true });
  });

  const put = (id: string, version: string): unknown =>
    engine.putImages('c', [
      { ...image(id, [1, 2, 3, 4], { version }), metadata: encodeMetadata({ version }) },
    ]);

  it('makes no image older than it was, and no change younger than the next', () => {
    put('a', 'first');
    time = '2020-01-01T00:00:00.000Z';
    expect(put('a', 'second')).toEqual(['replaced']);
    expect(engine.getImage('c', 'a')).toMatchObject({
      createdAt: '2030-01-01T00:00:00.000Z',
      updatedAt: '2030-01-01T00:00:00.000Z',
    });
    time = '2030-01-02T00:00:00.000Z';
    engine.patchMetadata('c', 'a', encodePatch({ more: 1 }));
    time = '2019-01-01T00:00:00.000Z';
    expect(engine.patchMetadata('c', 'a', encodePatch({ more: 2 }))).toMatchObject({
      updatedAt: '2030-01-02T00:00:00.000Z',
      metadata: { version: 'second', more: 2 },
    });
  });

  it('does not change which write comes last, nor what the graph holds', async () => {
    for (const [i, version] of ['first', 'second', 'third'].entries()) {
      time = `20${30 - i}-01-01T00:00:00.000Z`;
      put('a', version);
    }
    put('b', 'new');
    expect(engine.getImage('c', 'b').createdAt).toBe(time);
    while (engine.needsUpkeep) await engine.upkeep();
    engine.close();
    time = '2000-01-01T00:00:00.000Z';
    engine = openEngine();
    expect(engine.getImage('c', 'a').metadata).toEqual({ version: 'third' });
    expect(engine.indexStatus('c')).toMatchObject({ vectors: 2, graph: { missing: 0 } });
  });
});
