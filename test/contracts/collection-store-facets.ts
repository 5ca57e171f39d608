import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FacetQuery, FacetValue } from '#dino/collections/collection-store.js';
import type { FilterScalar, Metadata } from '#dino/collections/filter.js';
import { byCodePoint, createRandom, image, newCollection } from './collection-fixtures.js';
import type { OpenStore, StoreUnderTest } from './collection-fixtures.js';
import { FIELDS, matches, randomFilter, randomMetadata } from './plain-filter.js';

const EAST = [1, 0, 0, 0];
const KINDS = ['number', 'string', 'boolean'];

/** Facets read straight from their documentation. */
function plainFacets(all: Iterable<Metadata>, { field, filter, limit }: FacetQuery): unknown {
  const matching = [...all].filter((metadata) => filter === undefined || matches(metadata, filter));
  const having = matching.filter((metadata) => Object.hasOwn(metadata, field));
  const counts = new Map<FilterScalar, number>();
  for (const metadata of having) {
    for (const value of new Set<FilterScalar>([metadata[field]!].flat()))
      counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const values = [...counts].map(([value, count]): FacetValue => ({ value, count }));
  values.sort((a, b) => b.count - a.count || compare(a.value, b.value));
  const [total, missing] = [matching.length, matching.length - having.length];
  return { values: values.slice(0, limit), distinct: counts.size, total, missing };
}

function compare(a: FilterScalar, b: FilterScalar): number {
  const kinds = KINDS.indexOf(typeof a) - KINDS.indexOf(typeof b);
  return kinds || (typeof a === 'string' ? byCodePoint(a, b as string) : Number(a) - Number(b));
}

export function describeFacets(openStore: OpenStore): void {
  describe('facets and counts', () => {
    const random = createRandom(31);
    const stored = new Map<string, Metadata>();
    let under: StoreUnderTest;
    let name: string;

    async function expectAgreement(rounds: number): Promise<void> {
      for (let round = 0; round < rounds; round++) {
        const filter = round % 3 === 0 ? undefined : randomFilter(random);
        const field = FIELDS[Math.floor(random() * FIELDS.length)]!;
        const query = { field, filter, limit: [1, 3, 1000][round % 3]! };
        const label = JSON.stringify(query);
        const expected = plainFacets(stored.values(), query) as { total: number };
        expect(await under.store.facets(name, query), label).toEqual(expected);
        expect(await under.store.countImages(name, filter), label).toBe(expected.total);
      }
    }

    beforeAll(async () => {
      under = await openStore();
      name = await newCollection(under);
      for (let i = 0; i < 200; i++) stored.set(`image ${i}`, randomMetadata(random));
      await under.store.putImages(
        name,
        [...stored].map(([id, metadata]) => image(id, EAST, { metadata })),
      );
      // Another collection's images are none of this one's.
      const other = await newCollection(under);
      await under.store.putImages(other, [image('x', EAST, { metadata: { class: 'elsewhere' } })]);
    });
    afterAll(() => under.dispose());

    it('are those of a plain reading of the metadata', () => expectAgreement(120));

    it('follow patches, replacements and deletions', async () => {
      for (const id of [...stored.keys()]) {
        const metadata = randomMetadata(random);
        const change = random();
        if (change < 0.2) {
          await under.store.deleteImage(name, id);
          stored.delete(id);
        } else if (change < 0.4) {
          const before = stored.get(id)!;
          const removed = Object.keys(before).filter(() => random() < 0.3);
          const patch = Object.fromEntries([
            ...Object.entries(metadata),
            ...removed.map((field) => [field, null] as const),
          ]);
          stored.set(id, (await under.store.patchMetadata(name, id, patch)).metadata);
        } else if (change < 0.6) {
          await under.store.putImages(name, [image(id, EAST, { metadata })]);
          stored.set(id, metadata);
        }
      }
      await expectAgreement(90);
      await under.reopen();
      await expectAgreement(30);
    });

    it('are empty for a field that no image has, and for an empty collection', async () => {
      expect(await under.store.facets(name, { field: 'nowhere', limit: 5 })).toEqual({
        values: [],
        distinct: 0,
        total: stored.size,
        missing: stored.size,
      });
      const empty = await newCollection(under);
      const nothing = { values: [], distinct: 0, total: 0, missing: 0 };
      expect(await under.store.facets(empty, { field: 'class', limit: 5 })).toEqual(nothing);
      expect(await under.store.countImages(empty)).toBe(0);
    });

    it.each([
      [{ field: '', limit: 1 }, /name/],
      [{ field: 7, limit: 1 }, /name/],
      [{ field: 'a', limit: 0 }, /limit/],
      [{ field: 'a', limit: 1001 }, /limit/],
      [{ field: 'a', limit: NaN }, /limit/],
      [{ field: 'a', limit: 1, filter: {} }, /filter/],
    ])('are refused for %o', async (query, about) => {
      await expect(under.store.facets(name, query as FacetQuery)).rejects.toMatchObject({
        code: 'invalid-request',
        message: expect.stringMatching(about),
      });
    });

    it('fail with not-found where the collection is not there', async () => {
      await expect(under.store.facets('nobody', { field: 'a', limit: 1 })).rejects.toMatchObject({
        code: 'not-found',
      });
      await expect(under.store.countImages('nobody')).rejects.toMatchObject({ code: 'not-found' });
    });
  });
}
