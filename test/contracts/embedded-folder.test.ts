import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MIGRATIONS } from '#dino/collections/embedded/schema.js';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import type { EmbeddedStoreOptions } from '#dino/collections/embedded/embedded-collection-store.js';
import { createClusteredVectors, createRandom, image, settings } from './collection-fixtures.js';

const EAST = [1, 0, 0, 0];

let root: string;
let dataDir: string;
let folders = 0;
const open: EmbeddedCollectionStore[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dino-folder-'));
});
afterAll(() => rm(root, { recursive: true }));
beforeEach(() => {
  dataDir = join(root, `${++folders}`, 'nested', 'data');
});
afterEach(async () => {
  for (const store of open.splice(0)) await store.close();
});

async function openStore(options: Partial<EmbeddedStoreOptions> = {}): Promise<EmbeddedCollectionStore> {
  const store = await EmbeddedCollectionStore.open({ dataDir, ...options });
  open.push(store);
  return store;
}

async function openWithCollection(
  options: Partial<EmbeddedStoreOptions> = {},
): Promise<EmbeddedCollectionStore> {
  const store = await openStore(options);
  await store.createCollection('c', settings());
  return store;
}

/** Changes the database behind the store's back, while no store has it open. */
function edit(sql: string): void {
  const db = new Database(join(dataDir, 'dino.sqlite'));
  db.exec(sql);
  db.close();
}

describe('the data folder', () => {
  it('belongs to one store at a time', async () => {
    const first = await openWithCollection();
    await expect(openStore()).rejects.toMatchObject({
      name: 'DinoError',
      code: 'conflict',
      message: expect.stringMatching(/in use by another process.*--url/),
    });
    await first.putImages('c', [image('a', EAST)]);
    await first.close();
    const second = await openStore();
    expect((await second.getCollection('c')).count).toBe(1);
  });

  it('belongs to one process at a time', async () => {
    await openWithCollection();
    const script = `
      import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
      await EmbeddedCollectionStore.open({ dataDir: process.argv[1] }).then(
        () => console.log('opened'),
        (error) => console.log(error.name, error.code),
      );
      process.exit();
    `;
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script, '--', dataDir]);
    expect(stdout.trim()).toBe('DinoError conflict');
  });

  it('of a newer version is refused and left as it is', async () => {
    await (await openWithCollection()).close();
    edit('PRAGMA user_version = 99');
    const before = await readFile(join(dataDir, 'dino.sqlite'));
    await expect(openStore()).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/newer version.*schema is 99/),
    });
    expect(before.equals(await readFile(join(dataDir, 'dino.sqlite')))).toBe(true);
    edit(`PRAGMA user_version = ${MIGRATIONS.length}`);
    expect(await (await openStore()).listCollections()).toHaveLength(1);
  });

  it('of the first version gets what filters read, from the metadata that is there', async () => {
    await mkdir(dataDir, { recursive: true });
    const { dimension, m, efConstruction, ef } = settings();
    edit(`${MIGRATIONS[0]}; PRAGMA user_version = 1;
      INSERT INTO collections (row, key, name, model, model_fingerprint, dimension, m, ef_construction, ef, next_label, created_at)
      VALUES (1, 'key', 'c', 'model', '${'0'.repeat(64)}', ${dimension}, ${m}, ${efConstruction}, ${ef}, 2, '2024-05-01T00:00:00.000Z')`);
    const metadata = { class: 'cat', tags: ['a', 'b'], on: true, at: '2024-05-01' };
    const vector = Buffer.from(new Float32Array(EAST).buffer).toString('hex');
    for (const [label, [id, json]] of [
      ['x', JSON.stringify(metadata)] as const,
      ['y', '{}'] as const,
    ].entries()) {
      edit(`INSERT INTO images VALUES (${label + 1}, 1, '${id}', ${label}, '${json}', '${'0'.repeat(64)}', 'image/jpeg', 1, 1, 1, '', '');
        INSERT INTO vectors VALUES (${label + 1}, x'${vector}')`);
    }
    const again = await openStore();
    for (const filter of [
      { field: 'class', eq: 'cat' },
      { field: 'tags', in: ['b'] },
      { field: 'on', eq: true },
      { field: 'at', lte: { date: '2024-05-01' } },
    ])
      expect(await again.countImages('c', filter)).toBe(1);
    expect((await again.facets('c', { field: 'tags', limit: 9 })).distinct).toBe(2);
    await again.deleteImage('c', 'x');
    expect((await again.facets('c', { field: 'tags', limit: 9 })).distinct).toBe(0);
  });

  it('with something else in the place of the database is reported as damaged', async () => {
    await (await openWithCollection()).close();
    await writeFile(join(dataDir, 'dino.sqlite'), 'x'.repeat(10_000));
    await expect(openStore()).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringContaining('damaged'),
    });
  });

  it('with a vector of the wrong size is reported as damaged, by collection and image', async () => {
    const store = await openWithCollection();
    await store.putImages('c', [image('a', EAST)]);
    await store.close();
    edit(`UPDATE vectors SET vector = x'00000000'`);
    await expect(openStore()).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringMatching(/image "a" in collection "c".*damaged/),
    });
  });

  it('that cannot be made is an error, not a crash', async () => {
    await writeFile(join(root, 'a-file'), '');
    const opening = EmbeddedCollectionStore.open({ dataDir: join(root, 'a-file', 'data') });
    await expect(opening).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringMatching(/data folder .*a-file.data cannot be used.*ENOTDIR/),
    });
  });

  it.each([{ exactBelow: -1 }, { exactBelow: 1.5 }, { exactBelow: NaN }, { saveGraphEvery: 0 }])(
    'is not opened with %o',
    async (options) => {
      await expect(openStore(options)).rejects.toMatchObject({ code: 'invalid-request' });
    },
  );

  it('numbers versions up to the last uint32 and says so when none is left', async () => {
    await (await openWithCollection()).close();
    edit('UPDATE collections SET next_label = 4294967294');
    const store = await openStore({ exactBelow: 1 });
    await store.putImages('c', [image('a', EAST), image('b', [0, 1, 0, 0])]);
    await store.settle();
    await expect(store.putImages('c', [image('c', EAST)])).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('new collection'),
    });
    expect(await store.putImages('c', [image('a', EAST)])).toEqual(['unchanged']);
    await store.close();
    const again = await openStore({ exactBelow: 1 });
    expect((await again.getCollection('c')).count).toBe(2);
    const hits = await again.search('c', { vector: new Float32Array([0, 1, 0, 0]), k: 1, exact: false });
    expect(hits[0]!.id).toBe('b');
    expect((await again.indexStatus('c')).graph).toMatchObject({ elements: 2, missing: 0 });
  });
});

describe('the store’s thread', () => {
  it('finishes what was asked before close, and takes nothing after', async () => {
    const store = await openWithCollection();
    const writes = Array.from({ length: 50 }, (_, i) => store.putImages('c', [image(`i${i}`, EAST)]));
    const closing = store.close();
    await expect(store.getCollection('c')).rejects.toMatchObject({ code: 'not-ready' });
    expect((await Promise.all(writes)).flat()).toEqual(new Array(50).fill('created'));
    await closing;
    await store.close();
    expect((await (await openStore()).getCollection('c')).count).toBe(50);
  });

  it('does what it is asked in order', async () => {
    const store = await openWithCollection();
    const results = await Promise.all([
      store.putImages('c', [image('a', EAST)]),
      store.deleteImage('c', 'a'),
      store.putImages('c', [image('a', [0, 1, 0, 0])]),
      store.getVectors('c', ['a']),
      store.search('c', { vector: new Float32Array(EAST), k: 1 }),
    ]);
    expect(results).toEqual([
      ['created'],
      undefined,
      ['created'],
      [new Float32Array([0, 1, 0, 0])],
      [{ id: 'a', score: 0, metadata: {} }],
    ]);
  });

  it('that dies fails what it was doing, and the next call finds all that was acknowledged', async () => {
    const store = await openWithCollection({ exactBelow: 1 });
    const acknowledged: string[] = [];
    const put = async (i: number): Promise<void> => {
      await store.putImages('c', [image(`i${i}`, EAST)]);
      acknowledged.push(`i${i}`);
    };
    const write = (from: number, to: number): Promise<void>[] =>
      Array.from({ length: to - from }, (_, i) => put(from + i));
    await Promise.all(write(0, 10));
    const writes = write(10, 30);
    // These wait for the thread while it has those, and go together.
    await setImmediate();
    writes.push(...write(30, 100));
    await store['thread']['pool']!.threads[0].terminate();
    const failed = (await Promise.allSettled(writes)).filter((write) => write.status === 'rejected');
    for (const outcome of failed) {
      expect(outcome.reason).toMatchObject({ name: 'DinoError', code: 'internal' });
    }
    expect(acknowledged).toHaveLength(100 - failed.length);
    const found = await store.findImages('c', acknowledged);
    expect(found).toHaveLength(acknowledged.length);
    expect((await store.putImages('c', [image('after', EAST)]))[0]).toBe('created');
  });

  it('that dies while idle is replaced', async () => {
    const store = await openWithCollection();
    await store.putImages('c', [image('a', EAST)]);
    for (let i = 0; i < 3; i++) {
      await store['thread']['pool']!.threads[0].terminate();
      expect((await store.getCollection('c')).count).toBe(1);
    }
  });

  it('that dies while it starts fails the call that waits for it', async () => {
    const store = await openWithCollection();
    await store['thread']['pool']!.threads[0]!.terminate();
    const waiting = store.getCollection('c');
    await setImmediate();
    await store['thread']['pool']!.threads[0]!.terminate();
    await expect(waiting).rejects.toMatchObject({ code: 'internal' });
    expect((await store.getCollection('c')).name).toBe('c');
  });

  it('leaves the event loop free while it writes, builds a graph and searches', async () => {
    const dimension = 128;
    const vector = createClusteredVectors(createRandom(1), dimension, 20);
    const store = await openStore({ exactBelow: 1 });
    await store.createCollection('large', settings({ dimension, efConstruction: 400 }));
    const images = Array.from({ length: 2000 }, (_, i) => image(`i${i}`, vector(), { metadata: { i } }));

    async function ticksDuring(work: Promise<unknown>): Promise<number> {
      let done = false;
      let ticks = 0;
      void work.finally(() => (done = true));
      for (; !done; ticks++) await setImmediate();
      await work;
      return ticks;
    }
    // Each is one call, or slices of 20 ms: were it made on this thread, there would be a handful of ticks.
    expect(await ticksDuring(store.putImages('large', images))).toBeGreaterThan(100);
    expect((await store.indexStatus('large')).graph!.missing).toBeGreaterThan(0);
    expect(await ticksDuring(store.settle())).toBeGreaterThan(200);
    const filter = { not: { field: 'i', in: Array.from({ length: 4000 }, (_, i) => i - 3900) } };
    expect(await ticksDuring(store.search('large', { vector: vector(), k: 1000, filter }))).toBeGreaterThan(
      20,
    );
  });
});
