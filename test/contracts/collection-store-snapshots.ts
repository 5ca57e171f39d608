import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everything, image, newCollection } from './collection-fixtures.js';
import type { OpenStore, StoreUnderTest } from './collection-fixtures.js';

export function describeSnapshots(openStore: OpenStore): void {
  describe('a snapshot', () => {
    let under: StoreUnderTest;
    beforeAll(async () => {
      under = await openStore();
    });
    afterAll(() => under.dispose());

    it('has what was acknowledged before it, its contents, aliases and searches, and nothing from after it', async () => {
      const name = await newCollection(under);
      const { store } = under;
      const images = Array.from({ length: 20 }, (_, i) => image(`i${i}`, [1, i, 0, 0], { metadata: { i } }));
      await store.putImages(name, images);
      await store.putAlias('now', name);
      await store.deleteImage(name, 'i3');
      const before = await everything(store, name);
      const snapshot = await under.snapshot();
      await store.putImages(name, [
        image('after', [1, 1, 1, 1]),
        image('i5', [0, 0, 1, 0], { version: 'after' }),
      ]);
      await store.deleteImage(name, 'i7');

      const copy = await snapshot.open();
      expect(await everything(copy, 'now')).toEqual(before);
      for (const { id, content, thumbnail } of images.filter(({ id }) => id !== 'i3')) {
        expect([...(await copy.getContent(name, id)).bytes]).toEqual([...content]);
        expect([...(await copy.getThumbnail(name, id)).bytes]).toEqual([...thumbnail]);
      }
      const hits = await copy.search('now', { vector: new Float32Array([1, 7, 0, 0]), k: 1 });
      expect(hits[0]).toMatchObject({ id: 'i7' });
      // Both go on, apart from each other.
      expect(await copy.putImages(name, [image('copy', [1, 2, 3, 4])])).toEqual(['created']);
      expect(await store.putImages(name, [image('store', [1, 2, 3, 4])])).toEqual(['created']);
      await expect(store.getImage(name, 'copy')).rejects.toMatchObject({ code: 'not-found' });
      await copy.close();
    });

    it('that is made while writes go on has each of them wholly or not at all, and all that came before', async () => {
      const name = await newCollection(under);
      const { store } = under;
      let acknowledged = 0;
      let goOn = true;
      const write = async (): Promise<void> => {
        for (let i = 0; goOn; i++) {
          // Both or none.
          await store.putImages(
            name,
            ['a', 'b'].map((half) => image(`${i}-${half}`, [1, i, 0, 0])),
          );
          acknowledged = i + 1;
        }
      };
      const writing = write();
      while (acknowledged < 5) await store.getCollection(name);
      const least = acknowledged;
      const snapshot = await under.snapshot();
      goOn = false;
      await writing;
      const copy = await snapshot.open();
      const { images } = await copy.listImages(name, { limit: 1000 });
      const ids = new Set(images.map(({ id }) => id));
      expect(ids.size).toBeGreaterThanOrEqual(2 * least);
      for (const id of ids) {
        expect(ids).toContain(id.replace(/[ab]$/, (half) => (half === 'a' ? 'b' : 'a')));
        expect((await copy.getContent(name, id)).contentHash).toHaveLength(64);
      }
      for (let i = 0; i < least; i++) expect(ids).toContain(`${i}-a`);
      await copy.close();
    });
  });
}
