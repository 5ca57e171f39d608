import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { createClient } from '#dino/client/dino-client.js';
import { image, settings, sha256 } from '../contracts/collection-fixtures.js';
import { drawSmallScenes } from '../cli/photo-folder.js';
import { CAN_MOUNT, mountFolder, type MountedFolder } from '../support/mounted-folder.js';
import { spawnServer } from '../support/server-process.js';

const MIB = 2 ** 20;

/** Takes room on the disk, until it is removed. */
async function fill(disk: MountedFolder, bytes: number): Promise<string> {
  const path = join(disk.path, 'ballast');
  await writeFile(path, new Uint8Array(bytes));
  return path;
}

describe.skipIf(!CAN_MOUNT)('a disk that is full', () => {
  let disk: MountedFolder;
  beforeEach(async () => {
    disk = await mountFolder(16);
  });
  afterEach(() => disk.dispose());

  it('refuses writes as insufficient-storage, goes on reading, and takes writes again when there is room', async () => {
    const ballast = await fill(disk, 8 * MIB);
    const open = (): Promise<EmbeddedCollectionStore> =>
      EmbeddedCollectionStore.open({ dataDir: join(disk.path, 'data'), exactBelow: 1, onWarning: () => {} });
    let store = await open();
    await store.createCollection('c', settings());
    const big = (i: number) => {
      const text = `${i} `.repeat(30_000);
      const content = new TextEncoder().encode(text);
      return { ...image(`i${i}`, [1, i, 0, 0]), content, contentHash: sha256(text) };
    };
    const acknowledged = new Set<string>();
    const refused: unknown[] = [];
    const put = async (i: number): Promise<void> => {
      try {
        await store.putImages('c', [big(i)]);
        acknowledged.add(`i${i}`);
      } catch (error) {
        refused.push(error);
      }
    };
    // Groups of eight, until the disk is full in the middle of one.
    for (let i = 0; refused.length < 20; i += 8)
      await Promise.all([...Array(8).keys()].map((j) => put(i + j)));
    for (const error of refused) {
      expect(error).toMatchObject({ code: 'insufficient-storage', status: 507 });
      expect((error as Error).message).toMatch(/disk.*full.*Nothing was changed/);
    }

    const expectAll = async (): Promise<void> => {
      const { images } = await store.listImages('c', { limit: 1000 });
      expect(new Set(images.map(({ id }) => id))).toEqual(acknowledged);
      expect((await store.getCollection('c')).count).toBe(acknowledged.size);
      const hits = await store.search('c', { vector: new Float32Array([1, 0, 0, 0]), k: 1000 });
      expect(new Set(hits.map(({ id }) => id))).toEqual(acknowledged);
      const { bytes } = await store.getContent('c', 'i0');
      expect(Buffer.from(bytes).equals(big(0).content)).toBe(true);
    };
    await expectAll();

    await rm(ballast);
    for (let i = 1000; i < 1010; i++) await put(i);
    expect(acknowledged).toContain('i1009');
    await store.deleteImage('c', 'i1');
    acknowledged.delete('i1');
    await expectAll();
    await store.close();
    store = await open();
    await expectAll();
    await store.close();
  });

  it('is a 507 of the server, which goes on answering', async () => {
    const dataDir = join(disk.path, 'data');
    const ballast = join(disk.path, 'ballast');
    const server = await spawnServer({ dataDir, environment: { DINO_LOG_LEVEL: 'silent' } });
    try {
      const client = createClient({ url: server.url });
      await client.createCollection('c');
      const scenes = await drawSmallScenes(3);
      const put = (i: number): Promise<unknown> => client.putImage('c', `i${i}`, scenes[i]!.bytes);
      await put(0);
      // As much as there is room for.
      await fill(disk, 16 * MIB).catch(() => undefined);
      await expect(put(1)).rejects.toMatchObject({ status: 507, code: 'insufficient-storage' });
      const { results } = await client.search('c', { image: scenes[0]!.bytes });
      expect(results.map(({ id }) => id)).toEqual(['i0']);
      await rm(ballast);
      await put(1);
      await put(2);
      expect((await client.getCollection('c')).count).toBe(3);
    } finally {
      await server.stop();
    }
  });
});
