import { copyFile, mkdtemp, open as openFile, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { restoreSnapshot } from '#dino/collections/embedded/snapshots/restore-snapshot.js';
import { SnapshotFolder } from '#dino/collections/embedded/snapshots/snapshot-folder.js';
import { createRandom, image, settings } from '../contracts/collection-fixtures.js';

const COUNT = 200;
const random = createRandom(8);
const images = Array.from({ length: COUNT }, (_, i) =>
  image(`image-${i}`, [random(), random(), random(), 0.5], {
    metadata: { text: `metadata ${i}`.repeat(20) },
  }),
);
const DAMAGED = { code: 'internal', message: expect.stringMatching(/damaged.*snapshot/s) };

let root: string;
let folders = 0;
let dataDir: string;
let database: string;
/** The archive of a snapshot of the whole database. */
let snapshot: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dino-damage-'));
  dataDir = root;
  const store = await open();
  await store.createCollection('c', settings());
  await store.putImages('c', images);
  snapshot = await makeSnapshot(store);
  await store.close();
});
afterAll(() => rm(root, { recursive: true }));
beforeEach(async () => {
  dataDir = join(root, `copy-${++folders}`);
  const store = await open();
  await store.close();
  database = join(dataDir, 'dino.sqlite');
  await copyFile(join(root, 'dino.sqlite'), database);
});

function open(): Promise<EmbeddedCollectionStore> {
  return EmbeddedCollectionStore.open({ dataDir });
}

async function makeSnapshot(store: EmbeddedCollectionStore): Promise<string> {
  const folder = new SnapshotFolder(dataDir);
  await folder.open();
  const { signal } = new AbortController();
  const { id } = await folder.create({ source: store, signal });
  return join(dataDir, 'snapshots', `${id}.tar`);
}

/** Flips one bit of these bytes in the database's file, in free pages too. */
async function flipBitOf(bytes: Uint8Array): Promise<void> {
  const file = await readFile(database);
  let found = 0;
  for (let at = file.indexOf(bytes); at >= 0; at = file.indexOf(bytes, at + bytes.length)) {
    file[at + (bytes.length >> 1)]! ^= 0x04;
    found++;
  }
  expect(found).toBeGreaterThan(0);
  await writeFile(database, file);
}

describe('a database with a flipped bit', () => {
  it('in an image’s content answers an error for it, not other bytes', async () => {
    await flipBitOf(images[7]!.content);
    const store = await open();
    await expect(store.getContent('c', 'image-7')).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringMatching(/content of image "image-7".*damaged/),
    });
    expect(Buffer.from((await store.getContent('c', 'image-8')).bytes)).toEqual(
      Buffer.from(images[8]!.content),
    );
    await store.putImages('c', [{ ...images[7]!, metadata: { stored: 'again' } }]);
    expect(Buffer.from((await store.getContent('c', 'image-7')).bytes)).toEqual(
      Buffer.from(images[7]!.content),
    );
    await store.close();
  });

  it('in a thumbnail answers an error for it', async () => {
    await flipBitOf(images[7]!.thumbnail);
    const store = await open();
    await expect(store.getThumbnail('c', 'image-7')).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringMatching(/thumbnail of image "image-7".*damaged/),
    });
    expect((await store.getThumbnail('c', 'image-8')).bytes).toHaveLength(images[8]!.thumbnail.length);
    await store.close();
  });

  it('in a vector is found at the start, by image', async () => {
    const store = await open();
    const [vector] = await store.getVectors('c', ['image-7']);
    await store.close();
    await flipBitOf(new Uint8Array(vector!.buffer, vector!.byteOffset, vector!.byteLength));
    await expect(open()).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringMatching(/vector of image "image-7" in collection "c".*damaged/),
    });
  });
});

describe('a database with a page that was overwritten', () => {
  /** Overwrites the header of each page that holds these bytes. */
  async function spoilPagesOf(bytes: Uint8Array): Promise<void> {
    const file = await readFile(database);
    const pageBytes = file.readUInt16BE(16);
    const handle = await openFile(database, 'r+');
    let spoilt = 0;
    for (let at = file.indexOf(bytes); at >= 0; at = file.indexOf(bytes, at + 1)) {
      await handle.write(new Uint8Array(16).fill(0xff), 0, 16, Math.floor(at / pageBytes) * pageBytes);
      spoilt++;
    }
    await handle.close();
    expect(spoilt).toBeGreaterThan(0);
  }

  it('says so at the start when the page is read then', async () => {
    await spoilPagesOf(new TextEncoder().encode('metadata 100metadata'));
    await expect(open()).rejects.toMatchObject(DAMAGED);
  });

  it('says so at the access that meets it, and serves what lies elsewhere', async () => {
    await spoilPagesOf(images[120]!.thumbnail);
    const store = await open();
    await expect(store.getThumbnail('c', 'image-120')).rejects.toMatchObject(DAMAGED);
    expect((await store.search('c', { vector: images[3]!.vector, k: 1 }))[0]!.id).toBe('image-3');
    expect((await store.getContent('c', 'image-120')).bytes).toHaveLength(images[120]!.content.length);
    await store.close();
  });

  it('is whole again when a snapshot is restored in its place', async () => {
    await spoilPagesOf(new TextEncoder().encode('metadata 100metadata'));
    await expect(open()).rejects.toMatchObject(DAMAGED);
    await restoreSnapshot({ file: snapshot, dataDir, replace: true });
    const store = await open();
    expect((await store.getCollection('c')).count).toBe(COUNT);
    expect((await store.getThumbnail('c', 'image-120')).bytes).toHaveLength(images[120]!.thumbnail.length);
    await store.close();
  });

  it('makes no snapshot, which is how a database in use is checked', async () => {
    await spoilPagesOf(images[120]!.thumbnail);
    const store = await open();
    await expect(makeSnapshot(store)).rejects.toMatchObject(DAMAGED);
    expect(await readdir(join(dataDir, 'snapshots'))).toEqual([]);
    await store.close();
  });
});
