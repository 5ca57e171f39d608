import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Metadata } from '#dino/collections/filter.js';
import { createRandom, image, newCollection } from './collection-fixtures.js';
import type { OpenStore, StoreUnderTest } from './collection-fixtures.js';

const EAST = [1, 0, 0, 0];
const NORTH = [0, 1, 0, 0];

export function describeImages(openStore: OpenStore): void {
  describe('images', () => {
    let under: StoreUnderTest;
    beforeAll(async () => {
      under = await openStore();
    });
    afterAll(() => under.dispose());

    it('gives back everything that was stored', async () => {
      const { store } = under;
      const name = await newCollection(under);
      const given = image('a', [3, 0, 4, 0], { metadata: { class: 'cat', year: 2020 } });
      expect(await store.putImages(name, [given])).toEqual(['created']);

      const { createdAt, updatedAt, ...rest } = await store.getImage(name, 'a');
      const { contentHash, mediaType, metadata } = given;
      expect(rest).toEqual({
        id: 'a',
        metadata,
        contentHash,
        mediaType,
        width: 640,
        height: 480,
        bytes: given.content.byteLength,
        hasOriginal: true,
        hasThumbnail: true,
      });
      expect(new Date(createdAt).toISOString()).toBe(createdAt);
      expect(updatedAt).toBe(createdAt);
      const content = await store.getContent(name, 'a');
      expect({ ...content, bytes: [...content.bytes] }).toEqual({
        bytes: [...given.content],
        mediaType,
        contentHash,
      });
      const thumbnail = await store.getThumbnail(name, 'a');
      expect({ ...thumbnail, bytes: [...thumbnail.bytes] }).toEqual({
        bytes: [...given.thumbnail],
        mediaType: 'image/webp',
        contentHash,
      });
      const [vector] = await store.getVectors(name, ['a']);
      expect([...vector!]).toEqual([0.6, 0, 0.8, 0].map(Math.fround));
    });

    it('stores views of larger buffers, and leaves the caller its own', async () => {
      const { store } = under;
      const name = await newCollection(under);
      const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
      const vectors = new Float32Array([9, 9, 9, 9, 0, 1, 0, 0]);
      const pending = store.putImages(name, [
        {
          ...image('a', EAST),
          content: bytes.subarray(10, 20),
          contentHash: createHash('sha256').update(bytes.subarray(10, 20)).digest('hex'),
          thumbnail: Buffer.from(bytes.buffer, 50, 5),
          vector: vectors.subarray(4),
        },
      ]);
      bytes.fill(255);
      vectors.fill(7);
      await pending;
      expect(bytes.length).toBe(100);
      expect([...(await store.getContent(name, 'a')).bytes]).toEqual([
        10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
      ]);
      expect([...(await store.getThumbnail(name, 'a')).bytes]).toEqual([50, 51, 52, 53, 54]);
      expect([...(await store.getVectors(name, ['a']))[0]!]).toEqual(NORTH);
    });

    it('replaces an image whole, and only the creation time stays', async () => {
      const { store } = under;
      const name = await newCollection(under);
      await store.putImages(name, [image('a', EAST, { metadata: { old: true } })]);
      const before = await store.getImage(name, 'a');
      const next = {
        ...image('a', NORTH, { metadata: { new: true } }),
        mediaType: 'image/png',
        width: 1,
        height: 2,
      };
      expect(await store.putImages(name, [next])).toEqual(['replaced']);

      const after = await store.getImage(name, 'a');
      expect(after).toMatchObject({
        metadata: { new: true },
        contentHash: next.contentHash,
        mediaType: 'image/png',
        width: 1,
        height: 2,
        createdAt: before.createdAt,
      });
      expect(after.metadata).not.toHaveProperty('old');
      expect([...(await store.getContent(name, 'a')).bytes]).toEqual([...next.content]);
      expect([...(await store.getThumbnail(name, 'a')).bytes]).toEqual([...next.thumbnail]);
      expect((await store.getCollection(name)).count).toBe(1);
      for (const exact of [true, false]) {
        const hits = await store.search(name, { vector: new Float32Array(EAST), k: 5, exact });
        expect(hits.map(({ id, score }) => [id, score])).toEqual([['a', 0]]);
      }
    });

    it('leaves an image alone when content and metadata are the same, in whatever order of fields', async () => {
      const { store } = under;
      const name = await newCollection(under);
      const given = image('a', EAST, { metadata: { class: 'cat', tags: ['x', 'y'] } });
      await store.putImages(name, [given]);
      const before = await store.getImage(name, 'a');
      expect(
        await store.putImages(name, [{ ...given, metadata: { tags: ['x', 'y'], class: 'cat' } }]),
      ).toEqual(['unchanged']);
      expect(await store.getImage(name, 'a')).toEqual(before);
      expect(
        await store.putImages(name, [{ ...given, metadata: { tags: ['y', 'x'], class: 'cat' } }]),
      ).toEqual(['replaced']);
      expect(
        await store.putImages(name, [image('a', EAST, { version: '2' }), given, image('b', NORTH)].slice(1)),
      ).toEqual(['replaced', 'created']);
    });

    it('stores nothing for an empty list', async () => {
      const name = await newCollection(under);
      expect(await under.store.putImages(name, [])).toEqual([]);
      expect((await under.store.getCollection(name)).count).toBe(0);
    });

    it('finds the images that are there, each once', async () => {
      const { store } = under;
      const name = await newCollection(under);
      await store.putImages(name, [image('a', EAST), image('b', NORTH), image('c', NORTH)]);
      const found = await store.findImages(name, ['c', 'nobody', 'a', 'c']);
      expect(found.map(({ id }) => id).sort()).toEqual(['a', 'c']);
      expect(found.find(({ id }) => id === 'a')).toEqual(await store.getImage(name, 'a'));
      expect(await store.findImages(name, [])).toEqual([]);
    });

    it('gives vectors in the order asked for, and says which one is not there', async () => {
      const { store } = under;
      const name = await newCollection(under);
      await store.putImages(name, [image('a', EAST), image('b', NORTH)]);
      const vectors = await store.getVectors(name, ['b', 'a', 'b']);
      expect(vectors.map((vector) => [...vector])).toEqual([NORTH, EAST, NORTH]);
      await expect(store.getVectors(name, ['a', 'first', 'second'])).rejects.toMatchObject({
        code: 'not-found',
        message: expect.stringContaining('first'),
      });
    });

    it('says which image is not there', async () => {
      const { store } = under;
      const name = await newCollection(under);
      for (const call of [
        store.getImage(name, 'nobody'),
        store.getContent(name, 'nobody'),
        store.getThumbnail(name, 'nobody'),
        store.patchMetadata(name, 'nobody', { a: 1 }),
        store.deleteImage(name, 'nobody'),
      ]) {
        await expect(call).rejects.toMatchObject({
          code: 'not-found',
          message: expect.stringContaining('nobody'),
        });
      }
    });

    it('patches metadata: sets fields, removes those given as null, keeps the rest of the image', async () => {
      const { store } = under;
      const name = await newCollection(under);
      await store.putImages(name, [image('a', EAST, { metadata: { keep: 1, change: 'x', drop: true } })]);
      const before = await store.getImage(name, 'a');
      const patched = await store.patchMetadata(name, 'a', {
        change: ['y'],
        drop: null,
        add: 2.5,
        never: null,
      });
      expect(patched).toEqual({
        ...before,
        metadata: { keep: 1, change: ['y'], add: 2.5 },
        updatedAt: patched.updatedAt,
      });
      expect(await store.getImage(name, 'a')).toEqual(patched);
      for (const exact of [true, false]) {
        const hits = await store.search(name, { vector: new Float32Array(EAST), k: 1, exact });
        expect(hits).toEqual([{ id: 'a', score: 1, metadata: patched.metadata }]);
      }
    });

    it('deletes an image from everywhere', async () => {
      const { store } = under;
      const name = await newCollection(under);
      await store.putImages(name, [image('a', EAST), image('b', NORTH)]);
      await store.deleteImage(name, 'a');
      await expect(store.getImage(name, 'a')).rejects.toMatchObject({ code: 'not-found' });
      await expect(store.getContent(name, 'a')).rejects.toMatchObject({ code: 'not-found' });
      await expect(store.deleteImage(name, 'a')).rejects.toMatchObject({ code: 'not-found' });
      expect((await store.listImages(name, { limit: 10 })).images.map(({ id }) => id)).toEqual(['b']);
      expect((await store.getCollection(name)).count).toBe(1);
      for (const exact of [true, false]) {
        const hits = await store.search(name, { vector: new Float32Array(EAST), k: 5, exact });
        expect(hits.map(({ id }) => id)).toEqual(['b']);
      }
      expect(await store.putImages(name, [image('a', EAST)])).toEqual(['created']);
    });

    it('ends with one whole image after 200 writes to one id at once', async () => {
      const { store } = under;
      const name = await newCollection(under);
      const versions = Array.from({ length: 200 }, (_, i) =>
        image('one', [Math.cos(i), Math.sin(i), 0, 0], { metadata: { version: i } }),
      );
      const outcomes = await Promise.all(versions.map((version) => store.putImages(name, [version])));
      expect(outcomes.flat().filter((outcome) => outcome === 'created')).toHaveLength(1);
      expect((await store.getCollection(name)).count).toBe(1);
      const { images } = await store.listImages(name, { limit: 1000 });
      expect(images).toHaveLength(1);
      const kept = versions[images[0]!.metadata['version']! as number]!;
      expect(images[0]!.contentHash).toBe(kept.contentHash);
      expect([...(await store.getContent(name, 'one')).bytes]).toEqual([...kept.content]);
      for (const exact of [true, false]) {
        const hits = await store.search(name, { vector: kept.vector, k: 10, exact });
        expect(hits.map(({ id }) => id)).toEqual(['one']);
        expect(hits[0]!.score).toBeCloseTo(1, 6);
      }
    });

    it('loses no field when 50 patches of one image meet', async () => {
      const { store } = under;
      const name = await newCollection(under);
      await store.putImages(name, [image('one', EAST)]);
      await Promise.all(
        Array.from({ length: 50 }, (_, i) => store.patchMetadata(name, 'one', { [`f${i}`]: i })),
      );
      const expected = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`f${i}`, i]));
      expect((await store.getImage(name, 'one')).metadata).toEqual(expected);
    });

    it('finds everything again after a restart', async () => {
      const name = await newCollection(under, { dimension: 8 });
      const random = createRandom(11);
      const images = Array.from({ length: 120 }, (_, i) => {
        const metadata: Metadata = { number: i, even: i % 2 === 0 };
        return image(
          `image/${i} ü😀`,
          Float32Array.from({ length: 8 }, () => random() - 0.5),
          { metadata },
        );
      });
      await under.store.putImages(name, images);
      await under.store.deleteImage(name, images[0]!.id);
      await under.store.putImages(name, [image(images[1]!.id, images[0]!.vector)]);
      await under.store.patchMetadata(name, images[2]!.id, { number: -2 });
      const view = async () => {
        const { store } = under;
        const query = { vector: images[0]!.vector, k: 1000 };
        return {
          collection: await store.getCollection(name),
          page: await store.listImages(name, { limit: 1000 }),
          scanned: await store.search(name, { ...query, exact: true }),
          byGraph: await store.search(name, { ...query, exact: false }),
        };
      };
      const before = await view();
      await under.reopen();
      expect(await view()).toEqual(before);
      expect(before.collection.count).toBe(119);
      expect(before.page.images).toHaveLength(119);
      expect(before.scanned).toHaveLength(119);
      expect(before.scanned[0]).toMatchObject({ id: images[1]!.id });
      expect(before.byGraph).toEqual(before.scanned);
    });
  });
}
