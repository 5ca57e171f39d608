import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CollectionSettings, CollectionStore } from '#dino/collections/collection-store.js';
import { FINGERPRINT, image, newCollection, settings, sha256 } from './collection-fixtures.js';
import type { OpenStore, StoreUnderTest } from './collection-fixtures.js';

export function describeCollections(openStore: OpenStore): void {
  describe('collections', () => {
    let under: StoreUnderTest;
    beforeAll(async () => {
      under = await openStore();
    });
    afterAll(() => under.dispose());

    it('creates an empty collection with the settings given', async () => {
      const { store } = under;
      const { collection, created } = await store.createCollection('new', settings({ dimension: 384 }));
      expect(created).toBe(true);
      const { createdAt, ...rest } = collection;
      expect(rest).toEqual({ name: 'new', count: 0, objects: 0, ...settings({ dimension: 384 }) });
      expect(new Date(createdAt).toISOString()).toBe(createdAt);
      expect(await store.getCollection('new')).toEqual(collection);
    });

    it('returns the collection that is there when it is created again with equal settings', async () => {
      const name = await newCollection(under);
      await under.store.putImages(name, [image('a', [1, 0, 0, 0])]);
      const { collection, created } = await under.store.createCollection(name, settings());
      expect(created).toBe(false);
      expect(collection.count).toBe(1);
    });

    const others: Partial<CollectionSettings>[] = [
      { model: 'another' },
      { modelFingerprint: sha256('another') },
      { dimension: 5 },
      { m: 17 },
      { efConstruction: 101 },
      { ef: 65 },
      { content: 'thumbnail' },
      { thumbnails: false },
    ];
    it.each(others)('refuses to create it again with other settings: %o', async (other) => {
      const name = await newCollection(under);
      const [field] = Object.keys(other);
      await expect(under.store.createCollection(name, settings(other))).rejects.toMatchObject({
        name: 'DinoError',
        code: 'conflict',
        message: expect.stringContaining(field!),
      });
      expect(await under.store.getCollection(name)).toMatchObject(settings());
    });

    it('lists collections in ascending order of name, with counts', async () => {
      const { store } = under;
      for (const name of ['list-b', 'list-B', 'list-a', 'list-10', 'list-9']) {
        await store.createCollection(name, settings());
      }
      await store.putImages('list-b', [image('x', [1, 0, 0, 0]), image('y', [0, 1, 0, 0])]);
      const listed = (await store.listCollections()).filter(({ name }) => name.startsWith('list-'));
      expect(listed.map(({ name, count }) => [name, count])).toEqual([
        ['list-10', 0],
        ['list-9', 0],
        ['list-B', 0],
        ['list-a', 0],
        ['list-b', 2],
      ]);
    });

    it.each(['a', 'A9', '0.zip', 'x-_.', 'n'.repeat(100)])('accepts the name %j', async (name) => {
      expect((await under.store.createCollection(name, settings())).collection.name).toBe(name);
    });

    it.each(['', '.hidden', '-a', '_a', 'a b', 'a/b', 'größe', 'a\n', 'n'.repeat(101), 7, null])(
      'refuses the name %j',
      async (name) => {
        await expect(under.store.createCollection(name as string, settings())).rejects.toMatchObject({
          code: 'invalid-request',
        });
      },
    );

    const bad: Record<string, unknown>[] = [
      { model: '' },
      { modelFingerprint: 'abc' },
      { dimension: 0 },
      { dimension: 1.5 },
      { dimension: NaN },
      { dimension: '4' },
      { m: 1 },
      { m: 65 },
      { efConstruction: 7 },
      { efConstruction: 801 },
      { ef: 0 },
      { ef: 4097 },
      { ef: undefined },
    ];
    it.each(bad)('refuses settings out of range: %o', async (overrides) => {
      const [field] = Object.keys(overrides);
      await expect(
        under.store.createCollection('never', settings(overrides as Partial<CollectionSettings>)),
      ).rejects.toMatchObject({ code: 'invalid-request', message: expect.stringContaining(field!) });
      await expect(under.store.getCollection('never')).rejects.toMatchObject({ code: 'not-found' });
    });

    const calls: Record<string, (store: CollectionStore, name: string) => Promise<unknown>> = {
      getCollection: (store, name) => store.getCollection(name),
      alterCollection: (store, name) => store.alterCollection(name, { ef: 5 }),
      putAlias: (store, name) => store.putAlias('alias-of-nothing', name),
      beginReembedding: (store, name) =>
        store.beginReembedding(name, { model: 'm', modelFingerprint: FINGERPRINT, dimension: 4 }),
      listPending: (store, name) => store.listPending(name, { limit: 1 }),
      putNextVectors: (store, name) => store.putNextVectors(name, []),
      finishReembedding: (store, name) => store.finishReembedding(name, { dropMissing: true }),
      cancelReembedding: (store, name) => store.cancelReembedding(name),
      countWithoutOriginal: (store, name) => store.countWithoutOriginal(name),
      deleteCollection: (store, name) => store.deleteCollection(name),
      putImages: (store, name) => store.putImages(name, [image('a', [1, 0, 0, 0])]),
      getImage: (store, name) => store.getImage(name, 'a'),
      findImages: (store, name) => store.findImages(name, ['a']),
      getContent: (store, name) => store.getContent(name, 'a'),
      getThumbnail: (store, name) => store.getThumbnail(name, 'a'),
      getVectors: (store, name) => store.getVectors(name, ['a']),
      listImages: (store, name) => store.listImages(name, { limit: 10 }),
      patchMetadata: (store, name) => store.patchMetadata(name, 'a', {}),
      deleteImage: (store, name) => store.deleteImage(name, 'a'),
      search: (store, name) => store.search(name, { vector: new Float32Array([1, 0, 0, 0]), k: 1 }),
    };
    it.each(Object.entries(calls))('%s of an unknown collection is not found, by name', async (_, call) => {
      await expect(call(under.store, 'nowhere')).rejects.toMatchObject({
        name: 'DinoError',
        code: 'not-found',
        message: expect.stringContaining('nowhere'),
      });
    });

    it('deletes a collection with its images, and a new one of that name knows nothing of them', async () => {
      const { store } = under;
      const name = await newCollection(under);
      await store.putImages(name, [image('old', [1, 0, 0, 0])]);
      await store.deleteCollection(name);
      await expect(store.getCollection(name)).rejects.toMatchObject({ code: 'not-found' });
      expect((await store.listCollections()).map((collection) => collection.name)).not.toContain(name);

      await store.createCollection(name, settings({ dimension: 3 }));
      await expect(store.getImage(name, 'old')).rejects.toMatchObject({ code: 'not-found' });
      await store.putImages(name, [image('new', [1, 0, 0])]);
      for (const exact of [true, false, undefined]) {
        const hits = await store.search(name, { vector: new Float32Array([1, 0, 0]), k: 10, exact });
        expect(hits.map(({ id }) => id)).toEqual(['new']);
      }
    });

    it('keeps collections apart', async () => {
      const { store } = under;
      const [one, other] = [await newCollection(under), await newCollection(under)];
      await store.putImages(one, [image('same', [1, 0, 0, 0], { version: 'one' })]);
      await store.putImages(other, [image('same', [0, 1, 0, 0], { version: 'other' })]);
      await store.deleteImage(one, 'same');
      expect(await store.getVectors(other, ['same'])).toEqual([new Float32Array([0, 1, 0, 0])]);
      expect(await store.search(one, { vector: new Float32Array([0, 1, 0, 0]), k: 5 })).toEqual([]);
    });
  });
}
