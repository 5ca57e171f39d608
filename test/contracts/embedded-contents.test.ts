import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { NewImage } from '#dino/collections/collection-store.js';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { restoreSnapshot } from '#dino/collections/embedded/snapshots/restore-snapshot.js';
import { SnapshotFolder } from '#dino/collections/embedded/snapshots/snapshot-folder.js';
import { createRandom, image, settings } from './collection-fixtures.js';

const LARGE = 70_000;

let root: string;
let folders = 0;
let dataDir: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dino-contents-'));
});
afterAll(() => rm(root, { recursive: true }));
beforeEach(() => {
  dataDir = join(root, `data-${++folders}`);
});

async function open(path = dataDir): Promise<EmbeddedCollectionStore> {
  return EmbeddedCollectionStore.open({
    dataDir: path,
    onWarning: (message) => expect.unreachable(message),
  });
}

async function create(): Promise<EmbeddedCollectionStore> {
  const store = await open();
  for (const name of ['a', 'b']) await store.createCollection(name, settings());
  return store;
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function pictureOf(id: string, text: string, size = LARGE): NewImage & { content: Uint8Array } {
  const content = Buffer.from(`${text} `.repeat(Math.ceil(size / (text.length + 1))));
  return { ...image(id, [1, 2, 3, 4]), content, contentHash: hashOf(content) };
}

function pathOf(hash: string, folder = dataDir): string {
  return join(folder, 'contents', hash.slice(0, 2), hash.slice(2));
}

/** Everything in the folder of contents, in order. */
async function filesIn(folder = dataDir): Promise<string[]> {
  const shards = await readdir(join(folder, 'contents'));
  const names = await Promise.all(
    shards.map(async (shard) =>
      (await readdir(join(folder, 'contents', shard))).map((name) => `${shard}${name}`),
    ),
  );
  return names.flat().sort();
}

async function expectContent(
  store: EmbeddedCollectionStore,
  collection: string,
  { id, content }: NewImage,
): Promise<void> {
  const found = await store.getContent(collection, id);
  expect(Buffer.from(found.bytes).equals(content!)).toBe(true);
}

async function makeSnapshot(store: EmbeddedCollectionStore): Promise<string> {
  const folder = new SnapshotFolder(dataDir);
  await folder.open();
  const { id } = await folder.create({ source: store, signal: new AbortController().signal });
  return join(dataDir, 'snapshots', `${id}.tar`);
}

describe('originals that are files', () => {
  it('are large ones, named by their SHA-256, one for all images with the same bytes', async () => {
    let store = await create();
    const [one, small] = [pictureOf('one', 'same'), pictureOf('small', 'small', 1000)];
    const two = { ...one, id: 'two' };
    await store.putImages('a', [one, two, small]);
    await store.putImages('b', [one]);
    expect(await filesIn()).toEqual([one.contentHash]);
    expect((await readFile(pathOf(one.contentHash))).equals(one.content)).toBe(true);
    await store.close();
    store = await open();
    for (const each of [one, two, small]) await expectContent(store, 'a', each);
    await expectContent(store, 'b', one);
    await store.close();
  });

  it('go with the last image that has them: replaced, deleted, or with its collection', async () => {
    const store = await create();
    const [one, other] = [pictureOf('one', 'one'), pictureOf('one', 'other')];
    await store.putImages('a', [one, { ...one, id: 'two' }]);
    await store.putImages('b', [one]);
    await store.putImages('a', [other]);
    expect(await filesIn()).toEqual([one.contentHash, other.contentHash].sort());
    await store.deleteImage('a', 'two');
    expect(await filesIn()).toHaveLength(2);
    await expect(store.deleteCollection('b')).resolves.toBeUndefined();
    await store.settle();
    expect(await filesIn()).toEqual([other.contentHash]);
    await store.deleteImage('a', 'one');
    expect(await filesIn()).toEqual([]);
    await store.close();
  });

  it('are not written for a collection that keeps none, and not left behind by a write that is refused', async () => {
    const store = await create();
    await store.createCollection('c', settings({ content: 'thumbnail' }));
    const one = pictureOf('one', 'one');
    await store.putImages('c', [one]);
    const wrong = { ...pictureOf('two', 'two'), vector: new Float32Array([1, 2]) };
    await expect(store.putImages('a', [wrong])).rejects.toMatchObject({ code: 'invalid-request' });
    expect(await filesIn()).toEqual([]);
    await store.close();
  });

  it('are refused under a hash that is not theirs', async () => {
    const store = await create();
    const [one, lying] = [pictureOf('one', 'one'), pictureOf('lying', 'lying')];
    const writes = [one, { ...lying, contentHash: one.contentHash }].map((each) =>
      store.putImages('a', [each]),
    );
    const [good, bad] = await Promise.allSettled(writes);
    expect(good).toMatchObject({ value: ['created'] });
    expect(bad).toMatchObject({
      reason: { code: 'invalid-request', message: expect.stringContaining('"lying"') },
    });
    await expectContent(store, 'a', one);
    await store.close();
  });

  it('that a crash has left without an image, or half written, are gone after the next start', async () => {
    let store = await create();
    const one = pictureOf('one', 'one');
    await store.putImages('a', [one]);
    await store.close();
    const stray = pictureOf('stray', 'stray');
    await mkdir(dirname(pathOf(stray.contentHash)), { recursive: true });
    await writeFile(pathOf(stray.contentHash), stray.content);
    await writeFile(`${pathOf(one.contentHash)}.tmp`, 'half');
    store = await open();
    await store.settle();
    expect(await filesIn()).toEqual([one.contentHash]);
    await expectContent(store, 'a', one);
    await store.close();
  });

  it('are all there however writes and deletes of the same bytes meet, and no others', async () => {
    const random = createRandom(77);
    const pick = (count: number): number => Math.floor(random() * count);
    const store = await create();
    const texts = ['red', 'green', 'blue'];
    let checking = true;
    const reader = async (): Promise<void> => {
      while (checking) {
        const { id } = pictureOf(`i${pick(6)}`, 'any');
        try {
          expect(hashOf((await store.getContent('a', id)).bytes)).toHaveLength(64);
        } catch (error) {
          expect(error).toMatchObject({ code: 'not-found' });
        }
      }
    };
    const reading = reader();
    for (let round = 0; round < 15; round++) {
      const works = Array.from({ length: 12 }, () => {
        const [name, id] = [['a', 'b'][pick(2)]!, `i${pick(6)}`];
        return random() < 0.5
          ? store.putImages(name, [pictureOf(id, texts[pick(3)]!)])
          : store.deleteImage(name, id);
      });
      // Some delete what is not there.
      await Promise.allSettled(works);
      const named = new Set<string>();
      for (const name of ['a', 'b']) {
        for (const { id, contentHash } of (await store.listImages(name, { limit: 100 })).images) {
          named.add(contentHash);
          expect(hashOf((await store.getContent(name, id)).bytes)).toBe(contentHash);
        }
      }
      expect(await filesIn()).toEqual([...named].sort());
    }
    checking = false;
    await reading;
    await store.close();
  });
});

describe('an original whose file', () => {
  const cases: [string, (path: string) => Promise<void>][] = [
    [
      'is damaged',
      async (path) => {
        const bytes = await readFile(path);
        bytes[bytes.length >> 1]! ^= 0x10;
        await writeFile(path, bytes);
      },
    ],
    ['is cut short', async (path) => writeFile(path, (await readFile(path)).subarray(0, 5000))],
    ['is missing', (path) => rm(path)],
  ];
  it.each(cases)(
    '%s is an error that names image and file, makes no snapshot, and is healed by storing it again',
    async (_, spoil) => {
      const store = await create();
      const [one, two] = [pictureOf('one', 'one'), pictureOf('two', 'two')];
      await store.putImages('a', [one, two]);
      const path = pathOf(one.contentHash);
      await spoil(path);
      const named = new RegExp(`image "one".*(damaged|missing).*${one.contentHash.slice(2)}`);
      const detail = expect.stringMatching(named);
      await expect(store.getContent('a', 'one')).rejects.toMatchObject({ code: 'internal', message: detail });
      await expectContent(store, 'a', two);
      await expect(makeSnapshot(store)).rejects.toMatchObject({ code: 'internal', message: detail });
      expect(await readdir(join(dataDir, 'snapshots'))).toEqual([]);
      await store.deleteImage('a', 'one');
      await store.putImages('a', [one]);
      await expectContent(store, 'a', one);
      await store.close();
    },
  );

  it('is damaged is written anew by another image with the same bytes', async () => {
    const store = await create();
    const one = pictureOf('one', 'one');
    await store.putImages('a', [one]);
    await writeFile(pathOf(one.contentHash), 'damaged');
    await store.putImages('b', [one]);
    await expectContent(store, 'a', one);
    await store.close();
  });
});

describe('a snapshot', () => {
  it('has the originals of the moment it was made, whatever is replaced and deleted while it is packed', async () => {
    const store = await create();
    const pictures = Array.from({ length: 30 }, (_, i) => pictureOf(`i${i}`, `picture ${i}`));
    await store.putImages('a', pictures);
    const folder = new SnapshotFolder(dataDir);
    await folder.open();
    let deleting: Promise<unknown> | undefined;
    const source = {
      async backUp(...args: Parameters<EmbeddedCollectionStore['backUp']>) {
        await store.backUp(...args);
        // As soon as the database has been copied, and before its originals are.
        deleting = Promise.all(pictures.map(({ id }) => store.deleteImage('a', id)));
        await deleting;
        expect(await filesIn()).toHaveLength(30);
      },
      endBackup: () => store.endBackup(),
    };
    const { id, contents } = await folder.create({ source, signal: new AbortController().signal });
    expect(contents).toEqual({
      count: 30,
      bytes: pictures.reduce((sum, { content }) => sum + content.length, 0),
    });
    expect(await folder.findDamage(await folder.get(id))).toBeUndefined();
    expect(await filesIn()).toEqual([]);
    await store.close();

    const file = join(dataDir, 'snapshots', `${id}.tar`);
    await restoreSnapshot({ file, dataDir, replace: true });
    const restored = await open();
    for (const picture of pictures) await expectContent(restored, 'a', picture);
    expect(await filesIn()).toEqual(pictures.map(({ contentHash }) => contentHash).sort());
    await restored.close();
  });

  it('that is stopped lets deleted originals go', async () => {
    const store = await create();
    const one = pictureOf('one', 'one');
    await store.putImages('a', [one]);
    const stop = new AbortController();
    await mkdir(join(dataDir, 'copy'));
    const copying = store.backUp(join(dataDir, 'copy'), {
      signal: stop.signal,
      onProgress: () => stop.abort(new Error('stopped')),
    });
    await expect(copying.then(() => stop.signal.throwIfAborted())).rejects.toThrow('stopped');
    await store.endBackup();
    await store.deleteImage('a', 'one');
    expect(await filesIn()).toEqual([]);
    await store.close();
  });
});

describe('a database that has large originals in it', () => {
  it('gives them to files in the background, and what is damaged stays as it is', async () => {
    let store = await EmbeddedCollectionStore.open({ dataDir, contentFilesFrom: 1e9 });
    await store.createCollection('a', settings());
    const pictures = Array.from({ length: 8 }, (_, i) => pictureOf(`i${i}`, `picture ${i}`));
    await store.putImages('a', [...pictures, pictureOf('small', 'small', 1000)]);
    await store.close();
    asBefore(join(dataDir, 'dino.sqlite'), 'i3');

    store = await open();
    for (const picture of pictures.filter(({ id }) => id !== 'i3')) await expectContent(store, 'a', picture);
    await store.settle();
    const moved = pictures.filter(({ id }) => id !== 'i3').map(({ contentHash }) => contentHash);
    expect(await filesIn()).toEqual(moved.sort());
    for (const picture of pictures.filter(({ id }) => id !== 'i3')) await expectContent(store, 'a', picture);
    await expect(store.getContent('a', 'i3')).rejects.toMatchObject({
      message: expect.stringMatching(/image "i3".*damaged/),
    });
    await expectContent(store, 'a', pictureOf('small', 'small', 1000));
    await store.close();
    const db = new Database(join(dataDir, 'dino.sqlite'));
    expect(db.prepare('SELECT count(*) FROM contents').pluck().get()).toBe(2);
    expect(db.prepare('SELECT count(*) FROM content_moves').pluck().get()).toBe(0);
    db.close();
  });
});

/** Makes a database look as the version before left it: its large originals are to be moved. One of them is damaged. */
function asBefore(path: string, damagedId: string): void {
  const db = new Database(path);
  db.exec('DROP INDEX images_by_content; DROP TABLE content_moves; PRAGMA user_version = 5');
  db.prepare(
    "UPDATE contents SET content = CAST('other' AS BLOB) WHERE image = (SELECT row FROM images WHERE id = ?)",
  ).run(damagedId);
  db.close();
}
