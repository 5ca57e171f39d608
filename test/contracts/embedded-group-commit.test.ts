import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NewImage, StoredImage } from '#dino/collections/collection-store.js';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { createRandom, image, settings } from './collection-fixtures.js';

let root: string;
let folders = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dino-groups-'));
});
afterAll(() => rm(root, { recursive: true }));

async function openStore(exactBelow = 1): Promise<EmbeddedCollectionStore> {
  const store = await EmbeddedCollectionStore.open({
    dataDir: join(root, `data-${++folders}`),
    exactBelow,
    onWarning: (message) => expect.unreachable(message),
  });
  for (const name of ['a', 'b']) await store.createCollection(name, settings());
  return store;
}

type Write = (store: EmbeddedCollectionStore) => Promise<unknown>;

/** Writes over few ids, so that they meet; about a third of them must be refused. */
function randomWrite(random: () => number): Write {
  const pick = (count: number): number => Math.floor(random() * count);
  const collection = random() < 0.05 ? 'missing' : random() < 0.5 ? 'a' : 'b';
  const id = (): string => `i${pick(12)}`;
  const vector = [random() + 0.1, random(), random(), random()];
  const some = (count: number): NewImage[] =>
    Array.from({ length: count }, () =>
      image(id(), vector, { version: `${pick(3)}`, metadata: { n: pick(3) } }),
    );
  const kinds: (() => Write)[] = [
    () => {
      const images = some(1);
      return (store) => store.putImages(collection, images);
    },
    () => {
      // Often the same id twice, which refuses the whole call.
      const images = some(3);
      return (store) => store.putImages(collection, images);
    },
    () => {
      const images = [...some(1), image(`wrong ${id()}`, [1, 2, 3])];
      return (store) => store.putImages(collection, images);
    },
    () => {
      const [target, value] = [id(), pick(5)];
      return (store) => store.patchMetadata(collection, target, { n: value, more: `${value}` });
    },
    () => {
      const target = id();
      const wide = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`f${pick(100)}-${i}`, i]));
      return (store) => store.patchMetadata(collection, target, wide);
    },
    () => {
      const target = id();
      return (store) => store.deleteImage(collection, target);
    },
  ];
  return kinds[pick(kinds.length)]!();
}

/** What a write did, without the times. */
async function outcomeOf(writing: Promise<unknown>): Promise<unknown> {
  try {
    const value = await writing;
    const isImage = typeof value === 'object' && value !== null && 'createdAt' in value;
    return isImage ? withoutTimes(value as StoredImage) : value;
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return { code, message };
  }
}

function withoutTimes({ createdAt: _, updatedAt: __, ...rest }: StoredImage): unknown {
  return rest;
}

async function contents(store: EmbeddedCollectionStore): Promise<unknown> {
  return Promise.all(
    ['a', 'b'].map(async (name) => {
      const { images } = await store.listImages(name, { limit: 1000 });
      const vectors = await store.getVectors(
        name,
        images.map(({ id }) => id),
      );
      const hits = await store.search(name, { vector: new Float32Array([1, 1, 1, 1]), k: 50 });
      const byGraph = await store.search(name, {
        vector: new Float32Array([1, 1, 1, 1]),
        k: 50,
        exact: false,
      });
      expect(hits).toHaveLength(images.length);
      expect(byGraph).toEqual(hits);
      return { images: images.map(withoutTimes), vectors, hits };
    }),
  );
}

describe('writes that share a commit', () => {
  it('have the outcomes that they have one by one', async () => {
    const random = createRandom(20_240_611);
    const [grouped, single] = [await openStore(), await openStore()];
    let refused = 0;
    let total = 0;
    for (let round = 0; round < 25; round++) {
      const writes = Array.from({ length: 1 + Math.floor(random() * 40) }, () => randomWrite(random));
      total += writes.length;
      const together = await Promise.all(writes.map((write) => outcomeOf(write(grouped))));
      for (const [i, write] of writes.entries()) expect(together[i]).toEqual(await outcomeOf(write(single)));
      refused += together.filter((outcome) => typeof outcome === 'object' && 'code' in outcome!).length;
      expect(await contents(grouped)).toEqual(await contents(single));
    }
    expect(refused).toBeGreaterThan(total / 5);
    expect(refused).toBeLessThan(total / 1.3);
    await grouped.settle();
    await single.settle();
    expect(await contents(grouped)).toEqual(await contents(single));
    await grouped.close();
    await single.close();
  });

  it('are on disk when they are answered', async () => {
    const store = await openStore(1000);
    await Promise.all(
      Array.from({ length: 64 }, (_, i) => store.putImages('a', [image(`i${i}`, [1, i, 0, 0])])),
    );
    await store['thread']['pool']!.threads[0]!.terminate();
    expect((await store.getCollection('a')).count).toBe(64);
    await store.close();
  });

  it('wait for the disk once when they are made at once, and once each when they are not', async () => {
    const store = await openStore();
    const put = (i: number): Promise<unknown> => store.putImages('a', [image(`i${i}`, [1, i, 0, 0])]);
    await Promise.all(Array.from({ length: 200 }, (_, i) => put(i)));
    expect(await store.commitCounts()).toEqual({ writes: 200, commits: 1 });
    for (let i = 200; i < 210; i++) await put(i);
    expect(await store.commitCounts()).toEqual({ writes: 210, commits: 11 });
    await store.close();
  });

  it('share commits however many clients there are, each waiting for its answer and reading in between', async () => {
    const store = await openStore();
    const client = async (name: number): Promise<void> => {
      for (let step = 0; step < 10; step++) {
        const id = `i${name}`;
        await store.findImages('a', [id]);
        await store.putImages('a', [image(id, [1, step, 0, 0])]);
        expect(await store.getVectors('a', [id])).toHaveLength(1);
      }
    };
    await Promise.all(Array.from({ length: 64 }, (_, name) => client(name)));
    const { writes, commits } = await store.commitCounts();
    expect(writes).toBe(640);
    expect(commits).toBeLessThan(writes / 8);
    await store.close();
  });

  it('keep their order for an id, with 200 writers to it', async () => {
    const store = await openStore();
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        store.putImages('a', [image('one', [1, i, 0, 0], { metadata: { i } })]),
      ),
    );
    expect(outcomes.flat()).toEqual(['created', ...new Array<string>(199).fill('replaced')]);
    expect((await store.getCollection('a')).count).toBe(1);
    expect((await store.getImage('a', 'one')).metadata).toEqual({ i: 199 });
    await store.settle();
    for (const exact of [true, false]) {
      const hits = await store.search('a', { vector: new Float32Array([1, 199, 0, 0]), k: 5, exact });
      expect(hits).toEqual([{ id: 'one', score: expect.closeTo(1, 5), metadata: { i: 199 } }]);
    }
    await store.close();
  });
});
