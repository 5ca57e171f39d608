import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NewImage, SearchHit, SearchQuery } from '#dino/collections/collection-store.js';
import type { Metadata } from '#dino/collections/filter.js';
import { cosine, createClusteredVectors, createRandom, image, newCollection } from './collection-fixtures.js';
import type { OpenStore, StoreUnderTest } from './collection-fixtures.js';
import { plainSearch } from './plain-search.js';

const COUNT = 300;
const DIMENSION = 12;

/** What a search makes of its ranking: pages, groups, no copies, variety, vectors. */
export function describeShaping(openStore: OpenStore): void {
  describe('the shape of an answer', () => {
    const random = createRandom(23);
    const vector = createClusteredVectors(random, DIMENSION, 15);
    const images: NewImage[] = [];
    const queries = Array.from({ length: 4 }, vector);
    let under: StoreUnderTest;
    let name: string;
    beforeAll(async () => {
      for (let i = 0; i < COUNT; i++) images.push(randomImage(i));
      under = await openStore();
      name = await newCollection(under, { dimension: DIMENSION });
      await under.store.putImages(name, images);
      await under.settle();
    });
    afterAll(() => under.dispose());

    /** A third of the images are near copies of others, some to the last bit. */
    function randomImage(i: number): NewImage {
      const original = images[Math.floor(random() * images.length)];
      const isCopy = original !== undefined && random() < 0.33;
      const noise = random() < 0.3 ? 0 : 0.1;
      const values = isCopy ? original.vector.map((x) => x + noise * (random() - 0.5)) : vector();
      const metadata: Metadata = { n: i, even: i % 2 === 0 };
      if (random() < 0.8)
        metadata['place'] = [`p${Math.floor(random() ** 2 * 20)}`, 1, '1', true, 'true'][
          Math.floor(random() * 5)
        ]!;
      if (random() < 0.8) metadata['tags'] = ['a', 'b', 'c', 'd'].filter(() => random() < 0.4);
      if (random() < 0.05) metadata['rare'] = i % 3;
      return image(`i${i}`, values, { metadata });
    }

    function randomQuery(): SearchQuery {
      const some = <T>(share: number, value: T): T | undefined => (random() < share ? value : undefined);
      const kind = random();
      return {
        vector: queries[Math.floor(random() * queries.length)]!,
        k: [1, 3, 10, 40, 400][Math.floor(random() * 5)]!,
        offset: some(0.5, Math.floor(random() * 40)),
        filter: some(
          0.5,
          [
            { field: 'even', eq: true },
            { field: 'n', lt: 40 },
            { field: 'place', exists: false },
          ][Math.floor(random() * 3)]!,
        ),
        minScore: some(0.3, random() - 0.2),
        excludeIds: some(
          0.3,
          images.slice(0, 100).map(({ id }) => id),
        ),
        suppressDuplicates: some(0.5, [0.999, 0.95, 0.8, 0.3][Math.floor(random() * 4)]!),
        ...(kind < 0.6 && {
          groupBy: ['place', 'tags', 'rare', 'n', 'nowhere'][Math.floor(random() * 5)]!,
          groupSize: some(0.7, [1, 2, 5, 14][Math.floor(random() * 4)]!),
        }),
        ...(kind > 0.8 && { diversity: { lambda: some(0.8, random()), candidates: some(0.5, 20) } }),
      };
    }

    it('is what a walk through the whole ranking gives, for any combination', async () => {
      const lengths = new Set<number>();
      for (let round = 0; round < 120; round++) {
        const query = randomQuery();
        const expected = plainSearch(images, query);
        const hits = await under.store.search(name, { ...query, exact: true });
        const label = JSON.stringify({ ...query, vector: undefined });
        expect(
          hits.map(({ id, group }) => ({ id, group })),
          label,
        ).toEqual(expected.map(({ id, group }) => ({ id, group })));
        hits.forEach((hit, i) => expect(hit.score).toBeCloseTo(expected[i]!.score, 5));
        lengths.add(hits.length);
      }
      expect(lengths.size).toBeGreaterThan(20);
    });

    it('is as full where the store decides how to search', async () => {
      for (let round = 0; round < 80; round++) {
        const query = { ...randomQuery(), suppressDuplicates: undefined };
        const hits = await under.store.search(name, query);
        const groups = new Set(hits.map(({ group }) => group)).size;
        const expected = plainSearch(images, query);
        const label = JSON.stringify({ ...query, vector: undefined });
        if (query.groupBy === undefined) expect(hits.length, label).toBe(expected.length);
        else expect(groups, label).toBe(new Set(expected.map(({ group }) => group)).size);
        expectSound(hits, query);
      }
    });

    it('by the graph is sound, and full unless minScore cuts it', async () => {
      for (let round = 0; round < 60; round++) {
        const query = { ...randomQuery(), exact: false, minScore: undefined };
        const hits = await under.store.search(name, query);
        expectSound(hits, query);
        if (query.groupBy !== undefined || query.suppressDuplicates !== undefined) continue;
        expect(hits.length).toBe(plainSearch(images, query).length);
      }
    });

    /** What any answer keeps to, however it was found. */
    function expectSound(hits: readonly SearchHit[], query: SearchQuery): void {
      const byId = new Map(images.map((stored) => [stored.id, stored]));
      expect(new Set(hits.map(({ id, group }) => JSON.stringify([id, group]))).size).toBe(hits.length);
      const threshold = query.suppressDuplicates ?? 2;
      const different = [...new Set(hits.map(({ id }) => id))];
      different.forEach((a, i) => {
        for (const b of different.slice(0, threshold > 1 ? 0 : i))
          expect(cosine(byId.get(a)!.vector, byId.get(b)!.vector)).toBeLessThan(threshold + 1e-5);
      });
      for (const { group } of hits) {
        const size = hits.filter((hit) => hit.group === group).length;
        if (group !== undefined) expect(size).toBeLessThanOrEqual(query.groupSize ?? 1);
      }
    }

    it('in pages, put together, is one long answer', async () => {
      for (const rest of [
        {},
        { groupBy: 'tags', groupSize: 2 },
        { suppressDuplicates: 0.95 },
        { diversity: { candidates: 200 } },
      ]) {
        const ask = (offset: number, k: number): Promise<SearchHit[]> =>
          under.store.search(name, { vector: queries[0]!, k, offset, exact: true, ...rest });
        const pages = [await ask(0, 2), await ask(2, 1), await ask(3, 90)];
        expect(pages.flat()).toEqual(await ask(0, 93));
        expect(await ask(600, 10)).toEqual([]);
      }
    });

    it('has vectors where they are asked for, and only there', async () => {
      for (const rest of [{}, { groupBy: 'even', groupSize: 3 }, { diversity: {} }]) {
        const query = { vector: queries[0]!, k: 5, ...rest };
        const hits = await under.store.search(name, { ...query, withVectors: true });
        const vectors = await under.store.getVectors(
          name,
          hits.map(({ id }) => id),
        );
        expect(hits.map((hit) => hit.vector)).toEqual(vectors);
        for (const hit of await under.store.search(name, query)) expect(hit).not.toHaveProperty('vector');
      }
      const { images: listed } = await under.store.listImages(name, { limit: 7, withVectors: true });
      const vectors = await under.store.getVectors(
        name,
        listed.map(({ id }) => id),
      );
      expect(listed.map((stored) => stored.vector)).toEqual(vectors);
      expect((await under.store.getImage(name, listed[3]!.id, { withVector: true })).vector).toEqual(
        vectors[3],
      );
      expect(await under.store.getImage(name, listed[3]!.id)).not.toHaveProperty('vector');
      expect((await under.store.listImages(name, { limit: 1 })).images[0]).not.toHaveProperty('vector');
    });

    const refused: [Record<string, unknown>, RegExp][] = [
      [{ offset: -1 }, /offset must/],
      [{ offset: 1.5 }, /offset must/],
      [{ offset: NaN }, /offset must/],
      [{ k: 1000, offset: 9001 }, /offset \+ k is at most 10000/],
      [{ k: 501, offset: 500, suppressDuplicates: 0.9 }, /at most 1000 with suppressDuplicates/],
      [{ k: 501, offset: 500, diversity: {} }, /at most 1000 with diversity/],
      [{ suppressDuplicates: -0.1 }, /suppressDuplicates must/],
      [{ suppressDuplicates: 1.1 }, /suppressDuplicates must/],
      [{ suppressDuplicates: '1' }, /suppressDuplicates must/],
      [{ diversity: true }, /diversity must/],
      [{ diversity: { lambda: 1.01 } }, /lambda must/],
      [{ diversity: { lambda: NaN } }, /lambda must/],
      [{ diversity: { candidates: 0 } }, /candidates must/],
      [{ diversity: { candidates: 1001 } }, /candidates must/],
      [{ groupSize: 2 }, /groupSize needs groupBy/],
      [{ groupBy: 'a', groupSize: 0 }, /groupSize must/],
      [{ groupBy: 'a', groupSize: 101 }, /groupSize must/],
      [{ groupBy: 'a', groupSize: 100, k: 101 }, /k \* groupSize/],
      [{ groupBy: 7 }, /name of a metadata field/],
      [{ groupBy: '' }, /name of a metadata field/],
      [{ groupBy: 'a', diversity: {} }, /do not go together/],
    ];
    it.each(refused)('is refused with %o', async (overrides, about) => {
      await expect(
        under.store.search(name, { vector: queries[0]!, k: 1, ...overrides }),
      ).rejects.toMatchObject({ code: 'invalid-request', message: expect.stringMatching(about) });
    });
  });
}
