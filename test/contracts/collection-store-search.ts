import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NewImage, SearchHit } from '#dino/collections/collection-store.js';
import {
  byCodePoint,
  cosine,
  createClusteredVectors,
  createRandom,
  image,
  newCollection,
} from './collection-fixtures.js';
import type { OpenStore, StoreUnderTest } from './collection-fixtures.js';

const EAST = [1, 0, 0, 0];
const WAYS = [true, false, undefined];

function idsOf(hits: readonly SearchHit[]): string[] {
  return hits.map(({ id }) => id);
}

/** Share of `expected` that is among `found`. */
function recall(found: readonly SearchHit[], expected: readonly SearchHit[]): number {
  const ids = new Set(idsOf(found));
  return expected.filter(({ id }) => ids.has(id)).length / expected.length;
}

export function describeSearch(openStore: OpenStore): void {
  describe('search', () => {
    let under: StoreUnderTest;
    beforeAll(async () => {
      under = await openStore();
    });
    afterAll(() => under.dispose());

    it('ranks by cosine, nearest first, whatever the length of the vectors', async () => {
      const name = await newCollection(under, { dimension: 7 });
      const random = createRandom(5);
      const images = Array.from({ length: 400 }, (_, i) =>
        image(
          `i${i}`,
          Float32Array.from({ length: 7 }, () => (random() - 0.5) * 10 ** Math.floor(random() * 6 - 3)),
        ),
      );
      await under.store.putImages(name, images);
      const query = Float32Array.from({ length: 7 }, () => 50 * (random() - 0.5));
      const expected = images
        .map(({ id, vector }) => ({ id, score: cosine(vector, query) }))
        .sort((a, b) => b.score - a.score);
      for (const k of [1, 10, 400]) {
        const hits = await under.store.search(name, { vector: query, k, exact: true });
        expect(idsOf(hits)).toEqual(expected.slice(0, k).map(({ id }) => id));
        hits.forEach((hit, i) => expect(hit.score).toBeCloseTo(expected[i]!.score, 5));
      }
    });

    it('scores the same direction 1 and the opposite one -1, and never beyond', async () => {
      const name = await newCollection(under, { dimension: 100 });
      const random = createRandom(6);
      const vector = (): Float32Array => Float32Array.from({ length: 100 }, () => random() - 0.5);
      const images = Array.from({ length: 50 }, (_, i) => image(`i${i}`, vector()));
      await under.store.putImages(name, images);
      for (const exact of WAYS) {
        for (const given of images) {
          const [best] = await under.store.search(name, { vector: given.vector, k: 1, exact });
          const all = await under.store.search(name, {
            vector: given.vector.map((x) => -3 * x),
            k: 50,
            exact,
          });
          expect([best!.id, all[49]!.id]).toEqual([given.id, given.id]);
          expect(best!.score).toBeCloseTo(1, 6);
          expect(all[49]!.score).toBeCloseTo(-1, 6);
          expect(Math.max(best!.score, -all[49]!.score)).toBeLessThanOrEqual(1);
        }
      }
    });

    it('orders equal scores by id, also where k cuts through them', async () => {
      const name = await newCollection(under);
      const ids = ['m', 'Z', '😀', 'ｚ', '10', '9', 'a', 'b', 'é', 'n/1'];
      const images = ids.map((id) => image(id, EAST));
      await under.store.putImages(name, [
        ...images,
        image('far', [0, 1, 0, 0]),
        image('also far', [0, 0, 1, 0]),
      ]);
      const expected = [...ids].sort(byCodePoint).concat('also far', 'far');
      for (const exact of WAYS) {
        for (const k of [1, 4, 9, 11, 12]) {
          const hits = await under.store.search(name, { vector: new Float32Array(EAST), k, exact });
          expect(idsOf(hits)).toEqual(expected.slice(0, k));
        }
      }
    });

    it('returns all there is when k is more, and nothing from an empty collection', async () => {
      const name = await newCollection(under);
      for (const exact of WAYS) {
        expect(await under.store.search(name, { vector: new Float32Array(EAST), k: 1000, exact })).toEqual(
          [],
        );
      }
      await under.store.putImages(name, [image('a', EAST), image('b', [-1, 0, 0, 0])]);
      for (const exact of WAYS) {
        const hits = await under.store.search(name, { vector: new Float32Array(EAST), k: 1000, exact });
        expect(hits).toEqual([
          { id: 'a', score: 1, metadata: {} },
          { id: 'b', score: -1, metadata: {} },
        ]);
      }
    });

    it('returns nothing below minScore', async () => {
      const name = await newCollection(under);
      const angles = [0, 30, 60, 90, 120, 180].map((degrees) => (degrees * Math.PI) / 180);
      await under.store.putImages(
        name,
        angles.map((angle, i) => image(`${i}`, [Math.cos(angle), Math.sin(angle), 0, 0])),
      );
      for (const exact of WAYS) {
        const above = async (minScore: number): Promise<string[]> =>
          idsOf(await under.store.search(name, { vector: new Float32Array(EAST), k: 10, minScore, exact }));
        expect(await above(-1)).toEqual(['0', '1', '2', '3', '4', '5']);
        expect(await above(0.4)).toEqual(['0', '1', '2']);
        expect(await above(1)).toEqual(['0']);
      }
    });

    it('leaves out the ids it is told to, and still fills k', async () => {
      const name = await newCollection(under);
      const images = Array.from({ length: 30 }, (_, i) =>
        image(`i${i}`, [1, i / 10, 0, 0], { metadata: { even: i % 2 === 0 } }),
      );
      await under.store.putImages(name, images);
      const excludeIds = ['i0', 'i1', 'i5', 'unknown'];
      for (const exact of WAYS) {
        const vector = new Float32Array(EAST);
        expect(idsOf(await under.store.search(name, { vector, k: 4, excludeIds, exact }))).toEqual([
          'i2',
          'i3',
          'i4',
          'i6',
        ]);
        expect(await under.store.search(name, { vector, k: 30, excludeIds, exact })).toHaveLength(27);
        const filter = { field: 'even', eq: true };
        expect(idsOf(await under.store.search(name, { vector, k: 2, excludeIds, filter, exact }))).toEqual([
          'i2',
          'i4',
        ]);
        expect(
          await under.store.search(name, { vector, k: 15, excludeIds: images.map(({ id }) => id), exact }),
        ).toEqual([]);
      }
    });
  });

  describe('search by a stored image', () => {
    let under: StoreUnderTest;
    beforeAll(async () => {
      under = await openStore();
    });
    afterAll(() => under.dispose());

    it('leaves the image itself out, says the model, and goes by an alias too', async () => {
      const name = await newCollection(under);
      await under.store.putImages(
        name,
        [1, 2, 3].map((n) => image(`i${n}`, [1, n, 0, 0], { metadata: { n } })),
      );
      await under.store.putAlias(`alias-of-${name}`, name);
      const filter = { field: 'n', gt: 1 };
      const answer = await under.store.searchStored(`alias-of-${name}`, 'i1', {
        k: 5,
        filter,
        withVectors: true,
      });
      expect(answer.model).toBe('dino-vits16');
      expect(answer.hits.list().map(({ id, metadata }) => ({ id, metadata }))).toEqual([
        { id: 'i2', metadata: { n: 2 } },
        { id: 'i3', metadata: { n: 3 } },
      ]);
      expect(answer.hits.list()[0]!.vector).toEqual((await under.store.getVectors(name, ['i2']))[0]);
    });

    it('refuses what is not there and settings out of range', async () => {
      const name = await newCollection(under);
      await under.store.putImages(name, [image('i', EAST)]);
      const { store } = under;
      await expect(store.searchStored('missing', 'i', { k: 1 })).rejects.toMatchObject({ code: 'not-found' });
      await expect(store.searchStored(name, 'j', { k: 1 })).rejects.toMatchObject({ code: 'not-found' });
      await expect(store.searchStored(name, 'i', { k: 0 })).rejects.toMatchObject({
        code: 'invalid-request',
      });
      await expect(store.searchStored(name, '..', { k: 1 })).rejects.toMatchObject({
        code: 'invalid-request',
      });
    });
  });

  describe('search in thousands', () => {
    const COUNT = 3000;
    const DIMENSION = 32;
    const random = createRandom(17);
    const vector = createClusteredVectors(random, DIMENSION, 40);
    const images = Array.from({ length: COUNT }, (_, i): NewImage =>
      image(`i${i}`, vector(), { metadata: { share: i / COUNT } }),
    );
    const queries = Array.from({ length: 40 }, vector);
    let under: StoreUnderTest;
    let name: string;
    beforeAll(async () => {
      under = await openStore();
      name = await newCollection(under, { dimension: DIMENSION });
      await under.store.putImages(name, images);
      // Asked for, a graph is built; then it is waited for.
      await under.store.search(name, { vector: queries[0]!, k: 1, exact: false });
      await under.settle();
    });
    afterAll(() => under.dispose());

    it('answers the same whether searches come together or one by one', async () => {
      const { store } = under;
      const asked = images.slice(0, 200).map(({ id }, i) => async (): Promise<unknown> => {
        if (i % 20 === 7)
          return store.searchStored(name, 'missing', { k: 5 }).catch((error: unknown) => error);
        const options = { k: 1 + (i % 10), exact: WAYS[i % 3] };
        return i % 2 === 0
          ? (await store.searchStored(name, id, options)).hits.list()
          : store.search(name, { ...options, vector: images[i]!.vector });
      });
      const together = await Promise.all(asked.map((ask) => ask()));
      const apart: unknown[] = [];
      for (const ask of asked) apart.push(await ask());
      expect(together).toEqual(apart);
      expect(together.filter((answer) => answer instanceof Error)).toHaveLength(10);
    });

    it('finds by a stored image what it finds by its vector', async () => {
      const { store } = under;
      for (const { id } of images.slice(0, 20)) {
        const [vector] = await store.getVectors(name, [id]);
        const hits = await store.search(name, { vector: vector!, k: 10, excludeIds: [id] });
        expect((await store.searchStored(name, id, { k: 10 })).hits.list()).toEqual(hits);
      }
    });

    it('finds by the graph at least 95 % of what the scan finds, with the same scores', async () => {
      let found = 0;
      for (const query of queries) {
        const exact = await under.store.search(name, { vector: query, k: 10, exact: true });
        const approximate = await under.store.search(name, { vector: query, k: 10, exact: false });
        found += recall(approximate, exact);
        const scores = new Map(exact.map(({ id, score }) => [id, score]));
        for (const { id, score } of approximate) expect(score).toBe(scores.get(id) ?? score);
      }
      expect(found / queries.length).toBeGreaterThanOrEqual(0.95);
    });

    it('finds more with a higher ef', async () => {
      const shareAt = async (ef: number): Promise<number> => {
        let found = 0;
        for (const query of queries) {
          const exact = await under.store.search(name, { vector: query, k: 1, exact: true });
          found += recall(await under.store.search(name, { vector: query, k: 1, ef, exact: false }), exact);
        }
        return found / queries.length;
      };
      expect(await shareAt(1000)).toBe(1);
      expect(await shareAt(1)).toBeLessThan(1);
    });

    it.each([1, 0.5, 0.1, 0.01, 0.001])(
      'fills k under a filter that %f of the images match',
      async (share) => {
        const filter = { field: 'share', lt: share };
        const matching = Math.round(share * COUNT);
        for (const exact of [false, undefined]) {
          let found = 0;
          for (const query of queries) {
            const expected = await under.store.search(name, { vector: query, k: 10, filter, exact: true });
            expect(expected).toHaveLength(Math.min(10, matching));
            const hits = await under.store.search(name, { vector: query, k: 10, filter, exact });
            expect(hits).toHaveLength(Math.min(10, matching));
            for (const { metadata } of hits) expect(metadata['share']).toBeLessThan(share);
            found += recall(hits, expected);
          }
          expect(found / queries.length).toBeGreaterThanOrEqual(0.95);
        }
      },
    );

    it('sees every change at once, by the graph too', async () => {
      const { store } = under;
      const target = queries[1]!.map((x) => -x);
      const nearest = async (query: Float32Array, k: number): Promise<string[]> =>
        idsOf(await store.search(name, { vector: query, k, exact: false }));
      // Asked in one go, so that there is no time to add it to a graph in between.
      const put = store.putImages(name, [image('opposite', target)]);
      expect(await nearest(target, 1)).toEqual(['opposite']);
      await put;
      const replaced = store.putImages(name, [image('opposite', queries[1]!)]);
      expect(await nearest(target, 1)).not.toEqual(['opposite']);
      expect(await nearest(queries[1]!, 1)).toEqual(['opposite']);
      await replaced;
      const deleted = store.deleteImage(name, 'opposite');
      expect(await nearest(queries[1]!, 50)).not.toContain('opposite');
      await deleted;
      await under.settle();
      expect(await nearest(queries[1]!, 50)).not.toContain('opposite');
    });

    it('fills k from the living after two thirds were deleted', async () => {
      const { store } = under;
      const own = await newCollection(under, { dimension: DIMENSION });
      const some = images.slice(0, 900);
      await store.putImages(own, some);
      await store.search(own, { vector: queries[0]!, k: 1, exact: false });
      await under.settle();
      const isLeft = (i: number): boolean => i % 3 === 0;
      await Promise.all(some.filter((_, i) => !isLeft(i)).map(({ id }) => store.deleteImage(own, id)));
      const left = new Set(some.filter((_, i) => isLeft(i)).map(({ id }) => id));
      for (const wait of [async () => undefined, () => under.settle()]) {
        await wait();
        for (const query of queries.slice(0, 10)) {
          const hits = await store.search(own, { vector: query, k: 100, exact: false });
          expect(hits).toHaveLength(100);
          expect(idsOf(hits).every((id) => left.has(id))).toBe(true);
          expect(await store.search(own, { vector: query, k: 1000, exact: false })).toHaveLength(left.size);
        }
      }
    });

    it('fills k where hundreds of images are the same', async () => {
      const { store } = under;
      const own = await newCollection(under, { dimension: DIMENSION, m: 4, efConstruction: 16, ef: 10 });
      await store.putImages(
        own,
        Array.from({ length: 600 }, (_, i) => image(`copy ${i}`, queries[i % 2]!)),
      );
      await store.search(own, { vector: queries[0]!, k: 1, exact: false });
      await under.settle();
      const hits = await store.search(own, { vector: queries[0]!, k: 500, exact: false });
      expect(hits).toHaveLength(500);
      expect(new Set(idsOf(hits)).size).toBe(500);
    });
  });
}
