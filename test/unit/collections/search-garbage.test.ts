import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getHeapSpaceStatistics } from 'node:v8';
import { expect, it } from 'vitest';
import { Engine } from '#dino/collections/embedded/engine.js';
import { encodeMetadata } from '#dino/collections/validate-image.js';
import { image, settings } from '../../contracts/collection-fixtures.js';

/** Bytes that only a collection of the whole heap gives back. */
const oldBytes = (): number =>
  getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')!.space_used_size;

it('searches leave nothing behind that only a collection of the whole heap gives back', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'dino-garbage-'));
  const engine = Engine.open(
    { dataDir, exactBelow: 1000, saveGraphEvery: 1000, threads: 1, contentFilesFrom: 1000 },
    (message) => expect.unreachable(message),
  );
  try {
    engine.createCollection('c', settings());
    const images = Array.from({ length: 20 }, (_, i) => image(`image-${i}`, [i, 1, 2, 3]));
    engine.putImages(
      'c',
      images.map((each, i) => ({ ...each, metadata: encodeMetadata({ i }) })),
    );
    const searches = {
      'by id': () => engine.searchStored('c', 'image-1', { k: 10 }),
      'by vector': () => engine.search('c', { vector: Float32Array.of(1, 2, 3, 4), k: 10 }),
    };
    const left = Object.entries(searches).map(([kind, search]) => {
      // What the compiler makes of them first stays.
      for (let i = 0; i < 5000; i++) search();
      const before = oldBytes();
      for (let i = 0; i < 3000; i++) search();
      return [kind, (oldBytes() - before) / 3000] as const;
    });
    for (const [kind, bytes] of left) expect(bytes, kind).toBeLessThan(300);
  } finally {
    engine.close();
    await rm(dataDir, { recursive: true });
  }
});
