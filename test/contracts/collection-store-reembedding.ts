import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CollectionStore, NextVector } from '#dino/collections/collection-store.js';
import { everything, FINGERPRINT, image, newCollection, settings, sha256 } from './collection-fixtures.js';
import type { OpenStore, StoreUnderTest } from './collection-fixtures.js';

const NEXT = { model: 'next', modelFingerprint: sha256('the next model'), dimension: 3 };
const IDS = ['a', 'b', 'c', 'd'];

/** What the next model makes of an image: another direction for each id. */
function nextVector(id: string): Float32Array {
  const turn = (id.codePointAt(0)! % 16) / 3;
  return new Float32Array([Math.cos(turn), Math.sin(turn), 0.5]);
}

async function embedPending(store: CollectionStore, name: string, after?: number): Promise<NextVector[]> {
  const pending = await store.listPending(name, { after, limit: 1000 });
  const vectors = pending.map((image) => ({ ...image, vector: nextVector(image.id) }));
  await store.putNextVectors(name, vectors);
  return vectors;
}

async function finish(store: CollectionStore, name: string, dropMissing = false) {
  for (;;) {
    const outcome = await store.finishReembedding(name, { dropMissing });
    if (outcome.state !== 'indexing') return outcome;
    await new Promise(setImmediate);
  }
}

export function describeReembedding(openStore: OpenStore): void {
  describe('re-embedding', () => {
    let under: StoreUnderTest;
    beforeAll(async () => {
      under = await openStore();
    });
    afterAll(() => under.dispose());

    async function filled(): Promise<string> {
      const name = await newCollection(under);
      await under.store.putImages(
        name,
        IDS.map((id, i) => image(id, [1, i, 0, 0], { metadata: { n: i } })),
      );
      return name;
    }

    const nearest = async (name: string, vector: Float32Array) =>
      (await under.store.search(name, { vector, k: 1 }))[0]!.id;

    it('swaps model, dimension and vectors at once, and keeps all the rest, also after a restart', async () => {
      const name = await filled();
      const before = await under.store.getCollection(name);
      const images = (await under.store.listImages(name, { limit: 10 })).images;
      expect(await under.store.beginReembedding(name, NEXT)).toEqual({ done: 0, total: 4 });
      expect(await under.store.getCollection(name)).toEqual({ ...before, reembedding: NEXT });
      expect(await embedPending(under.store, name)).toHaveLength(4);
      expect(await nearest(name, new Float32Array([1, 3, 0, 0]))).toBe('d');
      expect(await finish(under.store, name)).toEqual({ state: 'swapped', dropped: 0 });
      for (let time = 0; time < 2; time++) {
        const { store } = under;
        expect(await store.getCollection(name)).toEqual({ ...before, ...NEXT });
        expect((await store.listImages(name, { limit: 10 })).images).toEqual(images);
        for (const id of IDS) {
          expect(await nearest(name, nextVector(id))).toBe(id);
          expect((await store.getContent(name, id)).bytes.length).toBeGreaterThan(0);
        }
        for (const exact of [true, false]) {
          const hits = await store.search(name, { vector: nextVector('b'), k: 10, exact });
          expect(hits).toHaveLength(4);
          expect(hits[0]!.score).toBeCloseTo(1, 6);
        }
        await under.settle();
        await under.reopen();
      }
      await under.store.putImages(name, [image('e', [0, 0, 1])]);
      expect((await under.store.getCollection(name)).count).toBe(5);
    });

    it('lets reads and writes go on, and catches up with what was stored, replaced and deleted', async () => {
      const name = await filled();
      const { store } = under;
      await store.beginReembedding(name, NEXT);
      const made = await embedPending(store, name);
      const last = made.at(-1)!.version;
      await store.putImages(name, [
        image('b', [0, 0, 1, 0], { version: 'replaced' }),
        image('e', [0, 0, 0, 1]),
      ]);
      await store.deleteImage(name, 'c');
      expect(await nearest(name, new Float32Array([0, 0, 0, 1]))).toBe('e');
      expect(await finish(store, name)).toEqual({ state: 'pending' });
      const later = await embedPending(store, name, last);
      expect(later.map(({ id }) => id)).toEqual(['b', 'e']);
      expect(await store.listPending(name, { limit: 10 })).toEqual([]);
      // A vector of a version that has been replaced is ignored, and so is one of an image that has gone.
      await store.putNextVectors(name, made);
      expect((await finish(store, name)).state).toBe('swapped');
      const ids = ['a', 'b', 'd', 'e'];
      for (const id of ids) expect(await nearest(name, nextVector(id))).toBe(id);
      const hits = await store.search(name, { vector: nextVector('c'), k: 10 });
      expect(hits.map(({ id }) => id).sort()).toEqual(ids);
    });

    it('never compares vectors of two models: a query or an image of the other one is a conflict', async () => {
      const name = await filled();
      const { store } = under;
      const old = { vector: new Float32Array([1, 0, 0, 0]), k: 1, modelFingerprint: FINGERPRINT };
      const next = { vector: nextVector('a'), k: 1, modelFingerprint: NEXT.modelFingerprint };
      await store.beginReembedding(name, { ...NEXT, dimension: 3 });
      await embedPending(store, name);
      expect(await store.search(name, old)).toHaveLength(1);
      await expect(store.search(name, next)).rejects.toMatchObject({ code: 'conflict' });
      await finish(store, name);
      await expect(store.search(name, old)).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringMatching(/do not mix/),
      });
      expect(await store.search(name, next)).toHaveLength(1);
      const late = { ...image('late', [1, 0, 0]), modelFingerprint: FINGERPRINT };
      await expect(store.putImages(name, [late])).rejects.toMatchObject({ code: 'conflict' });
      expect((await store.getCollection(name)).count).toBe(4);
    });

    it('goes on after a restart where it was, for the same model only', async () => {
      const name = await filled();
      await under.store.beginReembedding(name, NEXT);
      const [first, second] = await under.store.listPending(name, { limit: 2 });
      await under.store.putNextVectors(name, [
        { ...first!, vector: nextVector(first!.id) },
        { ...second!, vector: nextVector(second!.id) },
      ]);
      await under.reopen();
      const { store } = under;
      expect((await store.getCollection(name)).reembedding).toBeUndefined();
      // What changed meanwhile is not taken for done.
      await store.putImages(name, [image(first!.id, [0, 0, 0, 1], { version: 'replaced' })]);
      expect(await store.beginReembedding(name, NEXT)).toEqual({ done: 1, total: 4 });
      expect(
        await store.beginReembedding(name, { ...NEXT, modelFingerprint: sha256('yet another') }),
      ).toEqual({
        done: 0,
        total: 4,
      });
      expect(await store.beginReembedding(name, NEXT)).toEqual({ done: 0, total: 4 });
      await embedPending(store, name);
      expect((await finish(store, name)).state).toBe('swapped');
    });

    it('is cancelled without a trace, and can go there and back again', async () => {
      const name = await filled();
      const { store } = under;
      const before = await everything(store, name);
      await store.cancelReembedding(name);
      await store.beginReembedding(name, NEXT);
      await embedPending(store, name);
      await store.cancelReembedding(name);
      expect(await everything(store, name)).toEqual(before);
      await expect(store.listPending(name, { limit: 1 })).rejects.toMatchObject({ code: 'conflict' });
      expect(await store.beginReembedding(name, NEXT)).toEqual({ done: 0, total: 4 });
      await embedPending(store, name);
      await finish(store, name);
      await under.settle();
      const { model, modelFingerprint, dimension } = settings();
      expect(await store.beginReembedding(name, { model, modelFingerprint, dimension })).toMatchObject({
        done: 0,
      });
      const pending = await store.listPending(name, { limit: 10 });
      const back = pending.map((image) => ({
        ...image,
        vector: new Float32Array([1, IDS.indexOf(image.id), 0, 0]),
      }));
      await store.putNextVectors(name, back);
      await finish(store, name);
      await under.settle();
      await under.reopen();
      expect(await everything(under.store, name)).toEqual(before);
    });

    it('refuses images without originals, or drops them', async () => {
      const name = await filled();
      const { store } = under;
      await store.alterCollection(name, { content: 'none' });
      await store.putImages(name, [image('lost', [0, 0, 1, 0])]);
      await expect(store.beginReembedding(name, NEXT)).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('keeps no originals'),
      });
      await store.alterCollection(name, { content: 'original' });
      await store.beginReembedding(name, NEXT);
      await expect(store.alterCollection(name, { content: 'none' })).rejects.toMatchObject({
        code: 'conflict',
      });
      expect((await store.alterCollection(name, { ef: 99 })).ef).toBe(99);
      await embedPending(store, name);
      await expect(store.finishReembedding(name, { dropMissing: false })).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringMatching(/^1 images .*: lost\./),
      });
      expect((await store.getCollection(name)).count).toBe(5);
      expect(await finish(store, name, true)).toEqual({ state: 'swapped', dropped: 1 });
      expect(await store.getCollection(name)).toMatchObject({
        count: 4,
        ef: 99,
        modelFingerprint: NEXT.modelFingerprint,
      });
      await expect(store.getImage(name, 'lost')).rejects.toMatchObject({ code: 'not-found' });
    });

    it('refuses the model of now, vectors that do not fit, and steps out of order', async () => {
      const name = await filled();
      const { store } = under;
      const { model, modelFingerprint, dimension } = settings();
      await expect(
        store.beginReembedding(name, { model, modelFingerprint, dimension }),
      ).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('already'),
      });
      await expect(store.beginReembedding(name, { ...NEXT, dimension: 0 })).rejects.toMatchObject({
        code: 'invalid-request',
      });
      await expect(store.finishReembedding(name, { dropMissing: true })).rejects.toMatchObject({
        code: 'conflict',
      });
      await expect(store.putNextVectors(name, [])).rejects.toMatchObject({ code: 'conflict' });
      await store.beginReembedding(name, NEXT);
      const [first] = await store.listPending(name, { limit: 1 });
      for (const vector of [
        [1, 0],
        [NaN, 0, 1],
        [0, 0, 0],
      ].map((numbers) => Float32Array.from(numbers))) {
        await expect(store.putNextVectors(name, [{ ...first!, vector }])).rejects.toMatchObject({
          code: 'invalid-request',
          message: expect.stringContaining(`"${first!.id}"`),
        });
      }
      await expect(store.listPending(name, { limit: 0 })).rejects.toMatchObject({ code: 'invalid-request' });
      await store.deleteCollection(name);
      await expect(store.listPending(name, { limit: 1 })).rejects.toMatchObject({ code: 'not-found' });
    });
  });
}
