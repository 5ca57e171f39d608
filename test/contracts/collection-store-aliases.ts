import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { image, newCollection, settings } from './collection-fixtures.js';
import type { OpenStore, StoreUnderTest } from './collection-fixtures.js';

export function describeAliases(openStore: OpenStore): void {
  describe('aliases', () => {
    let under: StoreUnderTest;
    beforeAll(async () => {
      under = await openStore();
    });
    afterAll(() => under.dispose());

    const vector = new Float32Array([1, 0, 0, 0]);

    it('stand for their collection in every call, are listed, swapped and deleted, and survive a restart', async () => {
      const [one, other] = [await newCollection(under), await newCollection(under)];
      expect(await under.store.putAlias('live', one)).toEqual({
        alias: { name: 'live', collection: one },
        created: true,
      });
      await under.store.putImages('live', [image('a', [1, 0, 0, 0])]);
      expect(await under.store.getCollection('live')).toMatchObject({ name: one, count: 1 });
      expect((await under.store.search('live', { vector, k: 5 })).map(({ id }) => id)).toEqual(['a']);
      expect((await under.store.getImage('live', 'a')).id).toBe('a');
      expect((await under.store.alterCollection('live', { ef: 77 })).ef).toBe(77);
      expect((await under.store.getCollection(one)).ef).toBe(77);

      expect(await under.store.putAlias('live', other)).toMatchObject({ created: false });
      await under.reopen();
      expect(await under.store.getAlias('live')).toEqual({ name: 'live', collection: other });
      expect(await under.store.search('live', { vector, k: 5 })).toEqual([]);
      await under.store.putAlias('also', other);
      expect((await under.store.listAliases()).map(({ name }) => name)).toEqual(['also', 'live']);
      await under.store.deleteAlias('also');
      await under.store.deleteAlias('live');
      expect(await under.store.listAliases()).toEqual([]);
      await expect(under.store.getCollection('live')).rejects.toMatchObject({ code: 'not-found' });
      expect((await under.store.getCollection(one)).count).toBe(1);
    });

    it('share one namespace with collections, and stand for nothing but collections that are there', async () => {
      const { store } = under;
      const name = await newCollection(under);
      await store.putAlias('spoken-for', name);
      expect(await store.createCollection('spoken-for', settings())).toMatchObject({
        created: false,
        collection: { name },
      });
      await expect(store.putAlias(name, name)).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('is a collection'),
      });
      await expect(store.putAlias('second', 'spoken-for')).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining(`name "${name}"`),
      });
      await expect(store.putAlias('second', 'nowhere')).rejects.toMatchObject({ code: 'not-found' });
      for (const bad of ['', 'a b', '.x']) {
        await expect(store.putAlias(bad, name)).rejects.toMatchObject({ code: 'invalid-request' });
      }
      await expect(store.getAlias('second')).rejects.toMatchObject({ code: 'not-found' });
      await expect(store.deleteAlias('second')).rejects.toMatchObject({ code: 'not-found' });
    });

    it('keep their collection from being deleted, by either name', async () => {
      const { store } = under;
      const name = await newCollection(under);
      await store.putAlias('keeper', name);
      await expect(store.deleteCollection(name)).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('keeper'),
      });
      await expect(store.deleteCollection('keeper')).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining(name),
      });
      await store.deleteAlias('keeper');
      await store.deleteCollection(name);
      await expect(store.getCollection(name)).rejects.toMatchObject({ code: 'not-found' });
    });

    it('are swapped from one moment to the next: of the searches on the way none fails, and each sees one collection', async () => {
      const { store } = under;
      const names = [await newCollection(under), await newCollection(under)];
      for (const name of names) {
        const ids = ['x', 'y', 'z'].map((id) => `${name}/${id}`);
        await store.putImages(
          name,
          ids.map((id, i) => image(id, [1, i, 0, 0])),
        );
      }
      await store.putAlias('swapped', names[0]!);
      const searches: Promise<string>[] = [];
      const swaps: Promise<unknown>[] = [];
      for (let round = 1; round <= 40; round++) {
        for (let i = 0; i < 5; i++) {
          searches.push(
            store.search('swapped', { vector, k: 3 }).then((hits) => {
              expect(hits).toHaveLength(3);
              const seen = new Set(hits.map(({ id }) => id.split('/')[0]!));
              expect(seen.size).toBe(1);
              return [...seen][0]!;
            }),
          );
        }
        swaps.push(store.putAlias('swapped', names[round % 2]!));
      }
      const seen = await Promise.all(searches);
      await Promise.all(swaps);
      expect(new Set(seen)).toEqual(new Set(names));
      await store.deleteAlias('swapped');
    });
  });
}
