import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AlterableSettings, CollectionSettings } from '#dino/collections/collection-store.js';
import { image, newCollection, settings } from './collection-fixtures.js';
import type { OpenStore, StoreUnderTest } from './collection-fixtures.js';

export function describeContent(openStore: OpenStore): void {
  describe('what is kept of images', () => {
    let under: StoreUnderTest;
    beforeAll(async () => {
      under = await openStore();
    });
    afterAll(() => under.dispose());

    const choices: [Partial<CollectionSettings>, original: boolean, thumbnail: boolean][] = [
      [{ content: 'original', thumbnails: true }, true, true],
      [{ content: 'original', thumbnails: false }, true, false],
      [{ content: 'thumbnail', thumbnails: true }, false, true],
      [{ content: 'none', thumbnails: false }, false, false],
    ];
    it.each(choices)('with %o: original %s, thumbnail %s', async (choice, original, thumbnail) => {
      const name = await newCollection(under, choice);
      const given = image('a', [1, 0, 0, 0]);
      await under.store.putImages(name, [thumbnail ? given : { ...given, thumbnail: undefined }]);
      await under.reopen();
      const { store } = under;
      expect(await store.getCollection(name)).toMatchObject(choice);
      expect(await store.getImage(name, 'a')).toMatchObject({
        hasOriginal: original,
        hasThumbnail: thumbnail,
        bytes: given.content.length,
        contentHash: given.contentHash,
      });
      for (const [kept, get] of [
        [original, () => store.getContent(name, 'a')],
        [thumbnail, () => store.getThumbnail(name, 'a')],
      ] as const) {
        if (kept) expect((await get()).contentHash).toBe(given.contentHash);
        else {
          await expect(get()).rejects.toMatchObject({
            code: 'not-found',
            message: expect.stringMatching(/"a".* is not kept/),
          });
        }
      }
      const vector = new Float32Array([1, 0, 0, 0]);
      expect((await store.search(name, { vector, k: 1 }))[0]).toMatchObject({ id: 'a' });
      expect(await store.countWithoutOriginal(name)).toEqual({
        count: Number(!original),
        ids: original ? [] : ['a'],
      });
    });

    it('is nothing of a vector that comes without its image', async () => {
      const name = await newCollection(under);
      const { content, thumbnail, ...rest } = image('alone', [3, 0, 4, 0]);
      const alone = { ...rest, width: 0, height: 0 };
      expect(await under.store.putImages(name, [alone])).toEqual(['created']);
      expect(await under.store.putImages(name, [alone])).toEqual(['unchanged']);
      await under.reopen();
      const { store } = under;
      expect(await store.getImage(name, 'alone')).toMatchObject({
        hasOriginal: false,
        hasThumbnail: false,
        bytes: 0,
        width: 0,
        height: 0,
      });
      await expect(store.getContent(name, 'alone')).rejects.toMatchObject({ code: 'not-found' });
      await expect(store.getThumbnail(name, 'alone')).rejects.toMatchObject({ code: 'not-found' });
      const [hit] = await store.search(name, { vector: new Float32Array([3, 0, 4, 0]), k: 1 });
      expect(hit).toMatchObject({ id: 'alone' });
      expect(hit!.score).toBeCloseTo(1, 6);

      for (const wrong of [
        { ...alone, thumbnail },
        { ...alone, width: 1 },
        { ...alone, content, width: 0 },
      ]) {
        await expect(store.putImages(name, [wrong])).rejects.toMatchObject({ code: 'invalid-request' });
      }
    });

    it('of a new id can be left out where its content is in the collection', async () => {
      const name = await newCollection(under);
      const { store } = under;
      const [a, b] = [image('a', [1, 0, 0, 0]), image('b', [0, 1, 0, 0])];
      const sameAs = (id: string, { content, contentHash }: typeof a) => ({
        ...image(id, [1, 1, 0, 0]),
        content,
        contentHash,
      });
      const skip = { onDuplicate: 'skip' } as const;
      await store.putImages(name, [a]);
      expect(await store.putImages(name, [sameAs('c', a), b, sameAs('d', b)], skip)).toEqual([
        'duplicate',
        'created',
        'duplicate',
      ]);
      expect((await store.getCollection(name)).count).toBe(2);
      // One that is there is stored as ever, and nothing is left out where nobody asked for it.
      expect(await store.putImages(name, [a, sameAs('b', a)], skip)).toEqual(['unchanged', 'replaced']);
      expect(await store.putImages(name, [sameAs('c', a)])).toEqual(['created']);
      const known = await store.findContents(name, [a.contentHash, b.contentHash, a.contentHash]);
      expect(known).toEqual([{ contentHash: a.contentHash, id: 'a' }]);
      const other = await newCollection(under);
      expect(await store.putImages(other, [sameAs('c', a)], skip)).toEqual(['created']);
      await expect(store.putImages(name, [a], { onDuplicate: 'odd' as 'skip' })).rejects.toMatchObject({
        code: 'invalid-request',
        message: expect.stringContaining('onDuplicate'),
      });
    });

    it('follows an alteration from then on; storing the same again brings back what was not kept', async () => {
      const name = await newCollection(under);
      const { store } = under;
      const first = image('first', [1, 0, 0, 0]);
      const second = image('second', [0, 1, 0, 0]);
      await store.putImages(name, [first]);
      expect(await store.alterCollection(name, { content: 'none' })).toMatchObject({
        content: 'none',
        thumbnails: false,
      });
      await store.putImages(name, [second]);
      expect(await store.putImages(name, [first])).toEqual(['unchanged']);
      expect(await store.getImage(name, 'first')).toMatchObject({ hasOriginal: true, hasThumbnail: true });
      expect(await store.getImage(name, 'second')).toMatchObject({ hasOriginal: false, hasThumbnail: false });

      expect(await store.alterCollection(name, { content: 'original' })).toMatchObject({ thumbnails: true });
      expect(await store.putImages(name, [second])).toEqual(['replaced']);
      expect([...(await store.getContent(name, 'second')).bytes]).toEqual([...second.content]);
      expect(await store.putImages(name, [second])).toEqual(['unchanged']);

      await store.alterCollection(name, { content: 'thumbnail' });
      const replaced = image('first', [1, 1, 0, 0], { version: 'new' });
      await store.putImages(name, [replaced]);
      await expect(store.getContent(name, 'first')).rejects.toMatchObject({ code: 'not-found' });
      expect([...(await store.getThumbnail(name, 'first')).bytes]).toEqual([...replaced.thumbnail]);
    });

    it('is altered beside ef, which holds for searches from then on and after a restart', async () => {
      const name = await newCollection(under);
      const altered = await under.store.alterCollection(name, { ef: 200, thumbnails: false });
      expect(altered).toMatchObject({ ...settings(), ef: 200, thumbnails: false });
      await under.reopen();
      expect(await under.store.getCollection(name)).toEqual(altered);
      expect(await under.store.alterCollection(name, {})).toEqual(altered);
    });

    const bad: [changes: Record<string, unknown>, field: string][] = [
      [{ ef: 0 }, 'ef'],
      [{ ef: 1.5 }, 'ef'],
      [{ content: 'all' }, 'content'],
      [{ thumbnails: 'yes' }, 'thumbnails'],
      [{ content: 'none', thumbnails: true }, 'thumbnails'],
      [{ content: 'thumbnail', thumbnails: false }, 'thumbnails'],
    ];
    it.each(bad)('refuses %o, and nothing has changed', async (changes, field) => {
      const name = await newCollection(under);
      const refusal = { code: 'invalid-request', message: expect.stringContaining(field) };
      await expect(
        under.store.alterCollection(name, changes as Partial<AlterableSettings>),
      ).rejects.toMatchObject(refusal);
      expect(await under.store.getCollection(name)).toMatchObject(settings());
      await expect(
        under.store.createCollection('never', settings(changes as Partial<CollectionSettings>)),
      ).rejects.toMatchObject(refusal);
    });

    it('refuses an image without a thumbnail where thumbnails are kept', async () => {
      const name = await newCollection(under);
      const without = { ...image('a', [1, 0, 0, 0]), thumbnail: undefined };
      await expect(under.store.putImages(name, [without])).rejects.toMatchObject({
        code: 'invalid-request',
        message: expect.stringMatching(/keeps thumbnails.*"a"/),
      });
      expect((await under.store.getCollection(name)).count).toBe(0);
    });
  });
}
