import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NewImage, SearchHit } from '#dino/collections/collection-store.js';
import type { NewObject, NewObjects, SearchedVectors } from '#dino/collections/image-objects.js';
import {
  byCodePoint,
  cosine,
  createRandom,
  everything,
  image,
  newCollection,
  sha256,
} from './collection-fixtures.js';
import type { OpenStore, StoreUnderTest } from './collection-fixtures.js';

const EAST = [1, 0, 0, 0];
const NORTH = [0, 1, 0, 0];
const UP = [0, 0, 1, 0];
const MODES: readonly SearchedVectors[] = ['images', 'objects', 'both'];

function object(x: number, vector: ArrayLike<number>): NewObject {
  return { bbox: [x, 2, 30, 40], score: 0.5, vector: Float32Array.from(vector) };
}

function withObjects(id: string, vector: readonly number[], found: NewObject[], max = 3): NewImage {
  return { ...image(id, vector), objects: { method: 'maskcut', max, found } };
}

/** What a search must give, straight from what was stored. */
function derive(
  stored: ReadonlyMap<string, NewImage>,
  { vector, k, mode }: { vector: Float32Array; k: number; mode: SearchedVectors },
): { id: string; score: number; bbox: number[] | undefined }[] {
  const best = [...stored.values()].flatMap(({ id, vector: own, objects }) => {
    const ofImage = mode === 'objects' ? [] : [{ id, score: cosine(own, vector), bbox: undefined }];
    const ofObjects = mode === 'images' ? [] : (objects?.found ?? []);
    const all = [
      ...ofImage,
      ...ofObjects.map((each) => ({ id, score: cosine(each.vector, vector), bbox: [...each.bbox] })),
    ];
    return all.sort((a, b) => b.score - a.score).slice(0, 1);
  });
  return best.sort((a, b) => b.score - a.score || byCodePoint(a.id, b.id)).slice(0, k);
}

function seen(hits: readonly SearchHit[]) {
  return hits.map(({ id, score, bbox }) => ({ id, score: expect.closeTo(score, 5) as number, bbox }));
}

export function describeObjects(openStore: OpenStore): void {
  describe('objects of images', () => {
    let under: StoreUnderTest;
    beforeAll(async () => {
      under = await openStore();
    });
    afterAll(() => under.dispose());

    it('gives them back with their image, and finds it by them with their box', async () => {
      const name = await newCollection(under);
      await under.store.putImages(name, [
        withObjects('a', EAST, [object(1, [0, 3, 0, 0]), object(2, UP)]),
        image('b', [0.6, 0.8, 0, 0]),
      ]);
      const found = [
        { bbox: [1, 2, 30, 40], score: 0.5 },
        { bbox: [2, 2, 30, 40], score: 0.5 },
      ];
      expect((await under.store.getImage(name, 'a')).objects).toEqual({ method: 'maskcut', max: 3, found });
      const { images } = await under.store.listImages(name, { limit: 10 });
      expect(images.map(({ objects }) => objects?.found)).toEqual([found, undefined]);
      expect(await under.store.getCollection(name)).toMatchObject({ count: 2, objects: 2 });

      const ask = (objects: SearchedVectors | undefined, vector: number[]) =>
        under.store.search(name, { vector: Float32Array.from(vector), k: 5, objects, withVectors: true });
      const brief = (hits: SearchHit[]) => hits.map(({ id, bbox, vector }) => [id, bbox, [...vector!]]);
      expect(brief(await ask('objects', UP))).toEqual([['a', [2, 2, 30, 40], UP]]);
      expect(brief(await ask('both', NORTH))).toEqual([
        ['a', [1, 2, 30, 40], NORTH],
        ['b', undefined, [0.6, 0.8, 0, 0].map(Math.fround)],
      ]);
      for (const mode of [undefined, 'images'] as const)
        expect((await ask(mode, NORTH)).map(({ id, bbox }) => [id, bbox])).toEqual([
          ['b', undefined],
          ['a', undefined],
        ]);
    });

    it('changes nothing for the same setting, and makes the image anew for another', async () => {
      const name = await newCollection(under);
      const put = async (given: NewImage) => (await under.store.putImages(name, [given]))[0];
      const found = [object(1, NORTH)];
      expect(await put(withObjects('a', EAST, found))).toBe('created');
      expect(await put(withObjects('a', EAST, found))).toBe('unchanged');
      expect(await put(withObjects('a', EAST, [], 2))).toBe('replaced');
      expect((await under.store.getImage(name, 'a')).objects).toEqual({
        method: 'maskcut',
        max: 2,
        found: [],
      });
      expect(await put(withObjects('a', EAST, found))).toBe('replaced');
      expect(await put(image('a', EAST))).toBe('replaced');
      expect(await under.store.getImage(name, 'a')).not.toHaveProperty('objects');
      expect((await under.store.getCollection(name)).objects).toBe(0);
    });

    it('answers as a plain reading of the definition, whatever was put, replaced and deleted', async () => {
      const random = createRandom(11);
      const name = await newCollection(under, { dimension: 8, ef: 512 });
      const vectorOf = () => Float32Array.from({ length: 8 }, () => random() - 0.5);
      const stored = new Map<string, NewImage>();
      for (let step = 0; step < 120; step++) {
        const id = `image ${Math.floor(random() * 40)}`;
        if (random() < 0.2 && stored.has(id)) {
          await under.store.deleteImage(name, id);
          stored.delete(id);
          continue;
        }
        const found = Array.from({ length: Math.floor(random() * 4) }, (_, i) => object(10 * i, vectorOf()));
        const objects: NewObjects | undefined =
          random() < 0.7 ? { method: 'deep-spectral', max: 5, found } : undefined;
        const metadata = { class: random() < 0.5 ? 'cat' : 'dog' };
        const given = { ...image(id, vectorOf(), { version: String(step), metadata }), objects };
        await under.store.putImages(name, [given]);
        stored.set(id, given);
      }
      const objects = [...stored.values()].reduce((sum, each) => sum + (each.objects?.found.length ?? 0), 0);
      const check = async () => {
        expect(await under.store.getCollection(name)).toMatchObject({ count: stored.size, objects });
        for (const mode of MODES)
          for (const exact of [true, false, undefined])
            for (const k of [1, 7, 100]) {
              const vector = vectorOf();
              const expected = derive(stored, { vector, k, mode });
              const asked = { vector, k, objects: mode, exact };
              expect(expected).toEqual(seen(await under.store.search(name, asked)));
              const page = await under.store.search(name, { ...asked, k: 4, offset: 3 });
              expect(derive(stored, { vector, k: 7, mode }).slice(3)).toEqual(seen(page));
              const cats = new Map([...stored].filter(([, { metadata }]) => metadata['class'] === 'cat'));
              const [out] = cats.keys();
              const filter = { field: 'class', eq: 'cat' };
              const some = await under.store.search(name, { ...asked, filter, excludeIds: [out!] });
              cats.delete(out!);
              expect(derive(cats, { vector, k, mode })).toEqual(seen(some));
              const near = await under.store.search(name, { ...asked, minScore: 0.4 });
              expect(expected.filter(({ score }) => score >= 0.4)).toEqual(seen(near));
              const groups = await under.store.search(name, { ...asked, groupBy: 'class', k: 2 });
              const firsts = derive(stored, { vector, k: 100, mode }).filter(
                ({ id }, at, all) =>
                  all.findIndex(
                    (other) => stored.get(other.id)!.metadata['class'] === stored.get(id)!.metadata['class'],
                  ) === at,
              );
              expect(firsts).toEqual(seen(groups));
            }
      };
      await check();
      await under.settle();
      await check();
      await under.reopen();
      await check();
    });

    it('counts, lists and compares images and not objects', async () => {
      const name = await newCollection(under);
      await under.store.putImages(name, [
        withObjects('a', EAST, [object(1, NORTH)]),
        withObjects('b', UP, [object(1, NORTH)]),
      ]);
      expect(await under.store.countImages(name)).toBe(2);
      const report = await under.store.findDuplicates(name, { threshold: 0.9, maxPairs: 10 });
      expect(report).toMatchObject({ images: 2, pairs: 0 });
      await under.store.patchMetadata(name, 'a', { seen: true });
      const hits = await under.store.search(name, {
        vector: Float32Array.from(NORTH),
        k: 5,
        objects: 'objects',
        filter: { field: 'seen', eq: true },
      });
      expect(hits.map(({ id, metadata }) => [id, metadata])).toEqual([['a', { seen: true }]]);
    });

    it('stores nothing where an object is not as it must be', async () => {
      const name = await newCollection(under);
      await under.store.putImages(name, [withObjects('a', EAST, [object(1, NORTH)])]);
      const before = await everything(under.store, name);
      const bad: [NewImage, string][] = [
        [withObjects('b', EAST, [], 0), 'max of objects'],
        [withObjects('b', EAST, [], 11), 'max of objects'],
        [withObjects('b', EAST, [object(1, UP), object(2, UP)], 1), 'at most 1'],
        [withObjects('b', EAST, [object(1, [1, 0])]), 'The vector of an object'],
        [withObjects('b', EAST, [object(1, [0, 0, 0, 0])]), 'The vector of an object'],
        [withObjects('b', EAST, [{ ...object(1, UP), bbox: [0, 0, 0, 5] }]), 'The box of an object'],
        [withObjects('b', EAST, [{ ...object(1, UP), score: NaN }]), 'The score of an object'],
        [
          { ...withObjects('b', EAST, []), objects: { method: 'none' as never, max: 1, found: [] } },
          'one of',
        ],
      ];
      for (const [given, reason] of bad) {
        const put = under.store.putImages(name, [image('c', UP), given]);
        await expect(put).rejects.toMatchObject({
          code: 'invalid-request',
          message: expect.stringContaining(reason) as string,
        });
      }
      const ask = (options: object) =>
        under.store.search(name, { vector: Float32Array.from(EAST), k: 1, objects: 'both', ...options });
      for (const options of [{ suppressDuplicates: 0.9 }, { diversity: {} }, { objects: 'all' }])
        await expect(ask(options)).rejects.toMatchObject({ code: 'invalid-request' });
      expect(await everything(under.store, name)).toEqual(before);
    });

    it('does not begin to re-embed while there are objects, and takes none meanwhile', async () => {
      const name = await newCollection(under);
      const next = { model: 'next', modelFingerprint: sha256('next'), dimension: 3 };
      await under.store.putImages(name, [withObjects('a', EAST, [object(1, NORTH)])]);
      await expect(under.store.beginReembedding(name, next)).rejects.toMatchObject({ code: 'conflict' });
      await under.store.putImages(name, [image('a', EAST)]);
      await under.store.beginReembedding(name, next);
      const late = under.store.putImages(name, [withObjects('b', EAST, [object(1, NORTH)])]);
      await expect(late).rejects.toMatchObject({ code: 'conflict' });
      const pending = await under.store.listPending(name, { limit: 10 });
      const vector = Float32Array.of(1, 0, 0);
      await under.store.putNextVectors(
        name,
        pending.map((each) => ({ ...each, vector })),
      );
      await under.settle();
      expect(await under.store.finishReembedding(name, { dropMissing: false })).toMatchObject({
        state: 'swapped',
      });
      await under.store.putImages(name, [withObjects('b', [0, 1, 0], [object(1, [0, 0, 1])])]);
      const hits = await under.store.search(name, {
        vector: Float32Array.of(0, 0, 1),
        k: 2,
        objects: 'both',
      });
      expect(hits.map(({ id, bbox }) => [id, bbox])).toEqual([
        ['b', [1, 2, 30, 40]],
        ['a', undefined],
      ]);
    });
  });
}
