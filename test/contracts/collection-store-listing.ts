import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CollectionStore, ListQuery } from '#dino/collections/collection-store.js';
import type { Filter, Metadata } from '#dino/collections/filter.js';
import { byCodePoint, createRandom, image, newCollection } from './collection-fixtures.js';
import type { OpenStore, StoreUnderTest } from './collection-fixtures.js';
import { matches, randomFilter, randomMetadata } from './plain-filter.js';

const EAST = [1, 0, 0, 0];

/** All ids of a listing, page by page. */
async function listIds(store: CollectionStore, name: string, query: ListQuery): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await store.listImages(name, { ...query, cursor });
    expect(page.images.length).toBeLessThanOrEqual(query.limit);
    ids.push(...page.images.map(({ id }) => id));
    if (page.nextCursor === null) return ids;
    expect(page.images.length).toBe(query.limit);
    cursor = page.nextCursor;
  }
}

export function describeListing(openStore: OpenStore): void {
  describe('listing', () => {
    let under: StoreUnderTest;
    beforeAll(async () => {
      under = await openStore();
    });
    afterAll(() => under.dispose());

    const ids = ['b', 'B', 'a', 'a/1', 'a 1', '10', '9', 'é', 'ｚ', '😀', '\uffff', '日本', '~'];

    it.each([1, 2, 5, ids.length, 1000])(
      'lists every image once, by code point, in pages of %i',
      async (limit) => {
        const name = await newCollection(under);
        await under.store.putImages(
          name,
          ids.map((id) => image(id, EAST)),
        );
        expect(await listIds(under.store, name, { limit })).toEqual([...ids].sort(byCodePoint));
      },
    );

    it('lists an empty collection as one empty page', async () => {
      const name = await newCollection(under);
      expect(await under.store.listImages(name, { limit: 1 })).toEqual({ images: [], nextCursor: null });
    });

    it('gives each image as it is on its own', async () => {
      const name = await newCollection(under);
      await under.store.putImages(name, [image('a', EAST, { metadata: { class: 'cat' } })]);
      const { images } = await under.store.listImages(name, { limit: 5 });
      expect(images).toEqual([await under.store.getImage(name, 'a')]);
    });

    it('goes on where it was when images are written and deleted between pages', async () => {
      const { store } = under;
      const name = await newCollection(under);
      const put = (...written: string[]): Promise<unknown> =>
        store.putImages(
          name,
          written.map((id) => image(id, EAST, { version: String(Math.random()) })),
        );
      await put('b', 'd', 'f', 'h', 'j');
      const first = await store.listImages(name, { limit: 2 });
      await put('a', 'c', 'e', 'd', 'k');
      await store.deleteImage(name, 'd');
      await store.deleteImage(name, 'f');
      const rest = await store.listImages(name, { limit: 1000, cursor: first.nextCursor! });
      expect(first.images.map(({ id }) => id)).toEqual(['b', 'd']);
      expect(rest.images.map(({ id }) => id)).toEqual(['e', 'h', 'j', 'k']);
      expect(rest.nextCursor).toBeNull();
    });

    it.each(['', 'a', 'not a cursor', 'MQ', 'MWE=', Buffer.from('2a').toString('base64url'), '💥', 7])(
      'refuses the cursor %j',
      async (cursor) => {
        const name = await newCollection(under);
        await expect(
          under.store.listImages(name, { limit: 1, cursor: cursor as string }),
        ).rejects.toMatchObject({
          code: 'invalid-request',
          message: expect.stringContaining('ursor'),
        });
      },
    );

    it.each([0, 1001, -1, 2.5, NaN, '10', undefined])('refuses the limit %j', async (limit) => {
      const name = await newCollection(under);
      await expect(under.store.listImages(name, { limit: limit as number })).rejects.toMatchObject({
        code: 'invalid-request',
        message: expect.stringContaining('limit'),
      });
    });
  });

  describe('filters', () => {
    let under: StoreUnderTest;
    let name: string;
    const random = createRandom(3);
    const stored = new Map<string, Metadata>();
    beforeAll(async () => {
      under = await openStore();
      name = await newCollection(under);
      for (let i = 0; i < 300; i++) stored.set(`image ${i}`, randomMetadata(random));
      await under.store.putImages(
        name,
        [...stored].map(([id, metadata]) => image(id, EAST, { metadata })),
      );
    });
    afterAll(() => under.dispose());

    it('find the same images, listed and searched, as their plain reading does', async () => {
      const sizes = new Set<number>();
      for (let round = 0; round < 300; round++) {
        const filter = randomFilter(random);
        const expected = [...stored].filter(([, metadata]) => matches(metadata, filter)).map(([id]) => id);
        const label = JSON.stringify(filter);
        expect(await listIds(under.store, name, { limit: 1000, filter }), label).toEqual(
          expected.sort(byCodePoint),
        );
        // All vectors are the same here: every match comes back, in order of id.
        const exact = [true, false, undefined][round % 3];
        const hits = await under.store.search(name, {
          vector: new Float32Array(EAST),
          k: 1000,
          filter,
          exact,
        });
        expect(
          hits.map(({ id }) => id),
          label,
        ).toEqual(expected);
        sizes.add(expected.length);
      }
      expect(sizes.size).toBeGreaterThan(20);
    });

    it('are applied page by page', async () => {
      const filter: Filter = { field: 'class', exists: true };
      const expected = [...stored].filter(([, metadata]) => matches(metadata, filter)).map(([id]) => id);
      expect(expected.length).toBeGreaterThan(100);
      expect(await listIds(under.store, name, { limit: 7, filter })).toEqual(expected.sort(byCodePoint));
    });

    const cases: [metadata: Metadata, filter: Filter, matches: boolean][] = [
      [{ a: 1 }, { field: 'a', eq: 1 }, true],
      [{ a: 1 }, { field: 'a', eq: '1' }, false],
      [{ a: 1 }, { field: 'a', eq: true }, false],
      [{ a: true }, { field: 'a', eq: true }, true],
      [{ a: true }, { field: 'a', eq: 1 }, false],
      [{ a: 'true' }, { field: 'a', eq: true }, false],
      [{ a: true }, { field: 'a', eq: 'true' }, false],
      [{ a: 'Cat' }, { field: 'a', eq: 'cat' }, false],
      [{ a: 'cat' }, { field: 'a', in: ['dog', 'cat'] }, true],
      [{ a: 1 }, { field: 'a', in: ['1', true, 1] }, true],
      [{ a: 1 }, { field: 'a', in: [] }, false],
      [{ a: 1 }, { field: 'a', ne: 2 }, true],
      [{ a: 1 }, { field: 'a', ne: '1' }, true],
      [{ a: 1 }, { field: 'a', ne: 1 }, false],
      [{}, { field: 'a', ne: 1 }, false],
      [{}, { not: { field: 'a', eq: 1 } }, true],
      [{ a: [1, 2] }, { field: 'a', ne: 1 }, false],
      [{ a: [1, 2] }, { field: 'a', eq: 2 }, true],
      [{ a: ['x', 'y'] }, { field: 'a', in: ['y', 'z'] }, true],
      [{ a: [] }, { field: 'a', exists: true }, true],
      [{ a: [] }, { field: 'a', ne: 1 }, true],
      [{ a: false }, { field: 'a', exists: true }, true],
      [{ b: 1 }, { field: 'a', exists: false }, true],
      [{ a: 1 }, { field: 'a', exists: false }, false],
      [{ a: 2020 }, { field: 'a', gte: 2020, lt: 2021 }, true],
      [{ a: 2021 }, { field: 'a', gte: 2020, lt: 2021 }, false],
      [{ a: [1, 9] }, { field: 'a', gt: 3, lt: 6 }, false],
      [{ a: [1, 5, 9] }, { field: 'a', gt: 3, lt: 6 }, true],
      [{ a: '2020-05-01' }, { field: 'a', gt: '2020-04-30', lte: '2020-05-01' }, true],
      [{ a: '2024-05-01T00:30:00+02:00' }, { field: 'a', lt: { date: '2024-05-01' } }, true],
      [{ a: '2024-05-01T00:30:00+02:00' }, { field: 'a', lt: '2024-05-01' }, false],
      [
        { a: ['2023-01-01', '2025-01-01'] },
        { field: 'a', gte: { date: '2024-01-01' }, lt: { date: '2024-12-31' } },
        false,
      ],
      [{ a: '2024-05-01' }, { field: 'a', eq: { date: '2024-05-01T00:00:00Z' } }, true],
      [{ a: '2024-05-01' }, { field: 'a', eq: '2024-05-01T00:00:00Z' }, false],
      [{ a: '2024-02-30' }, { field: 'a', gt: { date: '2000-01-01' } }, false],
      [{ a: 1714521600 }, { field: 'a', eq: { date: '2024-05-01' } }, false],
      [{ a: '10' }, { field: 'a', gt: 9 }, false],
      [{ a: 10 }, { field: 'a', gt: '9' }, false],
      [{ a: '😀' }, { field: 'a', gt: '\uffff' }, true],
      [{ a: 2 ** 60 }, { field: 'a', eq: 2 ** 60 }, true],
      [{ a: 0.1 + 0.2 }, { field: 'a', eq: 0.3 }, false],
      [
        { a: 1, b: 2 },
        {
          and: [
            { field: 'a', eq: 1 },
            { or: [{ field: 'b', eq: 3 }, { not: { field: 'c', exists: true } }] },
          ],
        },
        true,
      ],
    ];
    it.each(cases)('%j under %j: %s', async (metadata, filter, expected) => {
      const own = await newCollection(under);
      await under.store.putImages(own, [image('x', EAST, { metadata })]);
      expect((await under.store.listImages(own, { limit: 1, filter })).images).toHaveLength(expected ? 1 : 0);
    });

    const nested = (depth: number): unknown =>
      depth === 1 ? { field: 'a', eq: 1 } : { not: nested(depth - 1) };
    const wide = (width: number): unknown => ({
      or: Array.from({ length: width }, () => ({ field: 'a', eq: 1 })),
    });
    const refused: [unknown, RegExp][] = [
      [null, /filter must be an object/],
      ['a = 1', /filter must be an object/],
      [[], /filter must be an object/],
      [{}, /empty/],
      [{ field: 'a' }, /no operator/],
      [{ eq: 1 }, /no "field"/],
      [{ field: '', eq: 1 }, /name/],
      [{ field: 7, eq: 1 }, /name/],
      [{ field: 'a', equals: 1 }, /unknown key "equals"/],
      [{ field: 'a', eq: null }, /filter\.eq/],
      [{ field: 'a', eq: [1] }, /filter\.eq/],
      [{ field: 'a', eq: NaN }, /filter\.eq/],
      [{ field: 'a', eq: '\ud83d' }, /filter\.eq/],
      [{ field: 'a', in: 'x' }, /filter\.in must be a list/],
      [{ field: 'a', in: [1, {}] }, /filter\.in\[1\]/],
      [{ field: 'a', gt: true }, /filter\.gt/],
      [{ field: 'a', gt: { date: 'yesterday' } }, /filter\.gt\.date must be a date in ISO 8601/],
      [{ field: 'a', eq: { date: '2023-02-30' } }, /filter\.eq\.date/],
      [{ field: 'a', eq: { date: 5 } }, /filter\.eq\.date/],
      [{ field: 'a', eq: { date: '2024-05-01', zone: 1 } }, /filter\.eq must/],
      [{ field: 'a', gte: { date: '2024-05-01' }, lt: '2025' }, /dates and with other values/],
      [{ field: 'a', exists: 1 }, /filter\.exists/],
      [{ and: [] }, /filter\.and/],
      [{ or: { field: 'a', eq: 1 } }, /filter\.or/],
      [{ not: [{ field: 'a', eq: 1 }] }, /filter\.not/],
      [{ and: [{ field: 'a', eq: 1 }], field: 'a', eq: 1 }, /"and" beside other keys/],
      [
        { and: [{ field: 'a', eq: 1 }, { or: [{ field: 'a', like: 1 }] }] },
        /filter\.and\[1\]\.or\[0\].*"like"/,
      ],
      [nested(17), /deeper than 16/],
      [wide(256), /more than 256/],
      [{ field: 'a', in: new Array(4097).fill(1) }, /more than 4096/],
    ];
    it.each(refused)('are refused when they are not valid: %j', async (filter, about) => {
      await expect(
        under.store.listImages(name, { limit: 1, filter: filter as Filter }),
      ).rejects.toMatchObject({
        name: 'DinoError',
        code: 'invalid-request',
        message: expect.stringMatching(about),
      });
    });

    it('are accepted up to their limits', async () => {
      for (const filter of [nested(16), wide(255), { field: 'a', in: new Array(4096).fill('x') }]) {
        await expect(
          under.store.listImages(name, { limit: 1, filter: filter as Filter }),
        ).resolves.toBeDefined();
      }
    });
  });
}
