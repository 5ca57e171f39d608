import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DuplicateQuery, DuplicateReport, NewImage } from '#dino/collections/collection-store.js';
import {
  byCodePoint,
  cosine,
  createClusteredVectors,
  createRandom,
  image,
  newCollection,
} from './collection-fixtures.js';
import type { OpenStore, StoreUnderTest } from './collection-fixtures.js';
import { matches } from './plain-filter.js';

const DIMENSION = 16;

/** Every pair of images, and who can be reached from whom. */
function plainDuplicates(all: readonly NewImage[], { threshold, filter, maxPairs }: DuplicateQuery): unknown {
  const images = all.filter(({ metadata }) => filter === undefined || matches(metadata, filter));
  const pairs = images.flatMap((x, i) =>
    images.slice(i + 1).flatMap((y) => {
      const score = cosine(x.vector, y.vector);
      const [a, b] = [x.id, y.id].sort(byCodePoint);
      return score >= threshold ? [{ a: a!, b: b!, score }] : [];
    }),
  );
  const groupOf = new Map(images.map(({ id }) => [id, new Set([id])]));
  for (const { a, b } of pairs) {
    const together = new Set([...groupOf.get(a)!, ...groupOf.get(b)!]);
    for (const id of together) groupOf.set(id, together);
  }
  const groups = [...new Set(groupOf.values())]
    .filter(({ size }) => size > 1)
    .map((ids) => [...ids].sort(byCodePoint));
  groups.sort((x, y) => y.length - x.length || byCodePoint(x[0]!, y[0]!));
  const given = Math.min(pairs.length, maxPairs);
  return { images: images.length, groups, pairs: pairs.length, given };
}

function summary({ images, groups, pairs }: DuplicateReport): unknown {
  const given = groups.reduce((sum, group) => sum + group.pairs.length, 0);
  return { images, groups: groups.map(({ ids }) => ids), pairs, given };
}

export function describeDuplicates(openStore: OpenStore): void {
  describe('near-duplicates', () => {
    const random = createRandom(41);
    const vector = createClusteredVectors(random, DIMENSION, 10);
    const images: NewImage[] = [];
    let under: StoreUnderTest;
    let name: string;
    beforeAll(async () => {
      for (let i = 0; i < 400; i++) {
        const original = random() < 0.5 ? images[Math.floor(random() * images.length)] : undefined;
        const values = original?.vector.map((x) => x + 0.2 * (random() - 0.5)) ?? vector();
        images.push(image(`i${i}`, values, { metadata: { even: i % 2 === 0 } }));
      }
      under = await openStore();
      name = await newCollection(under, { dimension: DIMENSION });
      await under.store.putImages(name, images);
      await under.settle();
    });
    afterAll(() => under.dispose());

    const filter = { field: 'even', eq: true };
    it.each<DuplicateQuery>([
      { threshold: 0.999, maxPairs: 1000 },
      { threshold: 0.97, maxPairs: 100_000 },
      { threshold: 0.9, maxPairs: 50 },
      { threshold: 0.97, maxPairs: 1000, filter },
      { threshold: 0.2, maxPairs: 0 },
      { threshold: 1, maxPairs: 1000, filter: { field: 'even', exists: false } },
    ])('are those of all pairs, connected: %j', async (query) => {
      const report = await under.store.findDuplicates(name, query);
      expect(summary(report)).toEqual(plainDuplicates(images, query));
      expect(report.exact).toBe(true);
      const byId = new Map(images.map((stored) => [stored.id, stored]));
      for (const { ids, pairs } of report.groups) {
        for (const { a, b, score } of pairs) {
          expect(ids).toContain(a);
          expect(byCodePoint(a, b)).toBeLessThan(0);
          expect(score).toBeCloseTo(cosine(byId.get(a)!.vector, byId.get(b)!.vector), 5);
        }
        const scores = pairs.map(({ score }) => score);
        expect(scores).toEqual([...scores].sort((x, y) => y - x));
      }
    });

    it('are found by searches, too: at least 95 % of the pairs', async () => {
      const query = { threshold: 0.97, maxPairs: 0 };
      const exact = await under.store.findDuplicates(name, query);
      const searched = await under.store.findDuplicates(name, { ...query, exact: false });
      expect(searched.exact).toBe(false);
      expect(searched.pairs).toBeGreaterThanOrEqual(0.95 * exact.pairs);
      expect(searched.pairs).toBeLessThanOrEqual(exact.pairs);
    });

    it('say how far they are, and stop when they are told to', async () => {
      const steps: [number, number][] = [];
      const onProgress = (done: number, total: number): void => void steps.push([done, total]);
      await under.store.findDuplicates(name, { threshold: 0.9, maxPairs: 0 }, { onProgress });
      expect(steps.at(-1)).toEqual([images.length, images.length]);
      const reason = new Error('enough');
      const call = under.store.findDuplicates(
        name,
        { threshold: 0.9, maxPairs: 0 },
        { signal: AbortSignal.abort(reason) },
      );
      await expect(call).rejects.toBe(reason);
    });

    it('leave out what is deleted or replaced meanwhile', async () => {
      const own = await newCollection(under, { dimension: DIMENSION });
      const twins = ['a', 'b', 'c'].map((id) => image(id, images[0]!.vector));
      await under.store.putImages(own, twins);
      const call = under.store.findDuplicates(own, { threshold: 0.99, maxPairs: 10 });
      const [report] = await Promise.all([call, under.store.deleteImage(own, 'b')]);
      expect(['a,c', 'a,b,c']).toContain(report.groups[0]!.ids.join());
      const again = await under.store.findDuplicates(own, { threshold: 0.99, maxPairs: 10 });
      expect(again.groups).toEqual([
        { ids: ['a', 'c'], pairs: [{ a: 'a', b: 'c', score: expect.closeTo(1, 5) }] },
      ]);
    });

    it('are none in an empty collection', async () => {
      const empty = await newCollection(under);
      expect(await under.store.findDuplicates(empty, { threshold: 0.9, maxPairs: 1 })).toEqual({
        images: 0,
        groups: [],
        pairs: 0,
        exact: true,
      });
    });

    it.each<[object, RegExp]>([
      [{ threshold: -0.1 }, /threshold/],
      [{ threshold: 1.1 }, /threshold/],
      [{ threshold: NaN }, /threshold/],
      [{ maxPairs: -1 }, /maxPairs/],
      [{ maxPairs: 100_001 }, /maxPairs/],
      [{ exact: 1 }, /exact/],
      [{ filter: {} }, /filter/],
    ])('are refused with %o', async (overrides, about) => {
      const call = under.store.findDuplicates(name, { threshold: 0.9, maxPairs: 1, ...overrides });
      await expect(call).rejects.toMatchObject({
        code: 'invalid-request',
        message: expect.stringMatching(about),
      });
      await expect(under.store.findDuplicates('nobody', { threshold: 1, maxPairs: 1 })).rejects.toMatchObject(
        { code: 'not-found' },
      );
    });
  });
}
