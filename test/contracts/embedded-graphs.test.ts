import { cp, mkdtemp, readFile, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import type { EmbeddedStoreOptions } from '#dino/collections/embedded/embedded-collection-store.js';
import { createClusteredVectors, createRandom, image, settings } from './collection-fixtures.js';

const DIMENSION = 16;
const random = createRandom(23);
const vector = createClusteredVectors(random, DIMENSION, 10);
const images = Array.from({ length: 440 }, (_, i) => image(`i${i}`, vector()));
const queries = Array.from({ length: 30 }, vector);

let root: string;
let folders = 0;
let warnings: string[] = [];
const open: EmbeddedCollectionStore[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dino-graphs-'));
});
afterAll(() => rm(root, { recursive: true }));
afterEach(async () => {
  warnings = [];
  for (const store of open.splice(0)) await store.close();
});

async function openStore(
  dataDir: string,
  options: Partial<EmbeddedStoreOptions> = {},
): Promise<EmbeddedCollectionStore> {
  const store = await EmbeddedCollectionStore.open({
    dataDir,
    exactBelow: 1,
    onWarning: (message) => warnings.push(message),
    ...options,
  });
  open.push(store);
  return store;
}

function newFolder(): string {
  return join(root, `data-${++folders}`);
}

const graphFolder = (dataDir: string): string => join(dataDir, 'graphs');

async function graphFile(dataDir: string, ending: '.hnsw' | '.json'): Promise<string> {
  const names = (await readdir(graphFolder(dataDir))).filter((name) => name.endsWith(ending));
  expect(names).toHaveLength(1);
  return join(graphFolder(dataDir), names[0]!);
}

/** Every way of searching answers, and the graph finds what the scan finds. */
async function expectRightSearches(store: EmbeddedCollectionStore, ids: readonly string[]): Promise<void> {
  const known = new Set(ids);
  let found = 0;
  for (const query of queries) {
    const scanned = await store.search('c', { vector: query, k: 10, exact: true });
    const byGraph = await store.search('c', { vector: query, k: 10, exact: false });
    expect(scanned).toHaveLength(10);
    expect(byGraph).toHaveLength(10);
    expect([...scanned, ...byGraph].every(({ id }) => known.has(id))).toBe(true);
    const graphIds = new Set(byGraph.map(({ id }) => id));
    found += scanned.filter(({ id }) => graphIds.has(id)).length / 10;
  }
  expect(found / queries.length).toBeGreaterThanOrEqual(0.95);
}

describe('a graph on disk', () => {
  /** 440 images of which 40 were deleted: too few to rebuild, so a graph that was read has 40 dead. */
  let saved: string;
  const left = images.slice(40).map(({ id }) => id);
  beforeAll(async () => {
    saved = newFolder();
    const store = await openStore(saved);
    await store.createCollection('c', settings({ dimension: DIMENSION }));
    await store.putImages('c', images);
    await store.settle();
    for (const { id } of images.slice(0, 40)) await store.deleteImage('c', id);
    await store.close();
  });

  async function copyOfSaved(): Promise<string> {
    const dataDir = newFolder();
    await cp(saved, dataDir, { recursive: true });
    return dataDir;
  }

  it('is read when the store opens, with its ef, and serves at once', async () => {
    const store = await openStore(await copyOfSaved());
    const status = await store.indexStatus('c');
    expect(status).toMatchObject({
      vectors: 400,
      graph: { elements: 440, deleted: 40, missing: 0, ef: 64 },
      upkeep: false,
    });
    await expectRightSearches(store, left);
    expect(warnings).toEqual([]);
  });

  it('can grow after it was read', async () => {
    const store = await openStore(await copyOfSaved());
    const more = Array.from({ length: 800 }, (_, i) => image(`more ${i}`, vector()));
    await store.putImages('c', more);
    await store.settle();
    expect((await store.indexStatus('c')).graph).toEqual({ elements: 1240, deleted: 40, missing: 0, ef: 64 });
    await expectRightSearches(store, [...left, ...more.map(({ id }) => id)]);
  });

  const flip = (bytes: Buffer, at: number): Buffer => {
    bytes[at]! ^= 0x10;
    return bytes;
  };
  const changeSidecar = (change: Record<string, unknown>) => async (dataDir: string) => {
    const path = await graphFile(dataDir, '.json');
    const sidecar = JSON.parse(await readFile(path, 'utf8')) as object;
    await writeFile(path, JSON.stringify({ ...sidecar, ...change }));
  };
  const damages: [string, (dataDir: string) => Promise<unknown>, RegExp][] = [
    ['missing', async (dir) => rm(await graphFile(dir, '.hnsw')), /file is missing/],
    ['empty', async (dir) => truncate(await graphFile(dir, '.hnsw'), 0), /damaged/],
    ['cut short', async (dir) => truncate(await graphFile(dir, '.hnsw'), 30_000), /damaged/],
    [
      'a byte too long',
      async (dir) => writeFile(await graphFile(dir, '.hnsw'), 'x', { flag: 'a' }),
      /damaged/,
    ],
    [
      'of one flipped bit',
      async (dir) => {
        const path = await graphFile(dir, '.hnsw');
        await writeFile(path, flip(await readFile(path), 20_000));
      },
      /damaged/,
    ],
    [
      'of one flipped bit in its header',
      async (dir) => {
        const path = await graphFile(dir, '.hnsw');
        await writeFile(path, flip(await readFile(path), 17));
      },
      /damaged/,
    ],
    ['without its sidecar', async (dir) => rm(await graphFile(dir, '.json')), /sidecar is missing/],
    [
      'beside a sidecar that is not JSON',
      async (dir) => writeFile(await graphFile(dir, '.json'), '{"file"'),
      /JSON/,
    ],
    [
      'beside a sidecar that is null',
      async (dir) => writeFile(await graphFile(dir, '.json'), 'null'),
      /null/,
    ],
    ['of another format', changeSidecar({ formatVersion: 2 }), /format is 2/],
    ['of another model', changeSidecar({ modelFingerprint: 'f'.repeat(64) }), /modelFingerprint/],
    ['of another dimension', changeSidecar({ dimension: 8 }), /dimension is 8 instead of 16/],
    ['of another space', changeSidecar({ space: 'l2' }), /space is l2/],
    ['of other parameters', changeSidecar({ m: 8 }), /m is 8/],
    ['of another collection', changeSidecar({ file: 'other.abc.hnsw' }), /another collection/],
    ['newer than the database', changeSidecar({ maxLabel: 440 }), /newer than the database/],
    ['of another count', changeSidecar({ count: 439 }), /damaged/],
  ];
  it.each(damages)('that is %s is built anew, while searches already answer', async (_, damage, about) => {
    const dataDir = await copyOfSaved();
    await damage(dataDir);
    const store = await openStore(dataDir);
    await expectRightSearches(store, left);
    expect(warnings).toEqual([expect.stringMatching(about)]);
    expect(warnings[0]).toContain('collection "c"');
    await store.settle();
    expect((await store.indexStatus('c')).graph).toEqual({ elements: 400, deleted: 0, missing: 0, ef: 64 });
    await expectRightSearches(store, left);
    await store.close();

    const again = await openStore(dataDir);
    expect((await again.indexStatus('c')).graph).toEqual({ elements: 400, deleted: 0, missing: 0, ef: 64 });
    expect(warnings).toHaveLength(1);
    await expectRightSearches(again, left);
  });

  it('that belongs to a collection of another shape is not opened by the native library', async () => {
    const dataDir = await copyOfSaved();
    const store = await openStore(dataDir);
    await store.createCollection('small', settings({ dimension: 4 }));
    await store.putImages('small', [image('x', [1, 0, 0, 0])]);
    await store.settle();
    await store.close();
    const files = (await readdir(graphFolder(dataDir))).filter((name) => name.endsWith('.hnsw'));
    expect(files).toHaveLength(2);
    const [a, b] = files.map((name) => join(graphFolder(dataDir), name));
    const bytes = await readFile(a!);
    await writeFile(a!, await readFile(b!));
    await writeFile(b!, bytes);
    const again = await openStore(dataDir);
    expect(warnings).toHaveLength(2);
    await expectRightSearches(again, left);
    const hits = await again.search('small', { vector: new Float32Array([1, 0, 0, 0]), k: 1, exact: false });
    expect(hits[0]!.id).toBe('x');
  });

  it('that is older than the database is caught up: added, replaced and deleted images', async () => {
    const dataDir = await copyOfSaved();
    const store = await openStore(dataDir);
    await store.putImages('c', [image('new', queries[0]!), image('i100', queries[1]!)]);
    await store.deleteImage('c', 'i101');
    await store.close();
    await rm(graphFolder(dataDir), { recursive: true });
    await cp(graphFolder(saved), graphFolder(dataDir), { recursive: true });

    const again = await openStore(dataDir);
    await again.settle();
    expect(warnings).toEqual([]);
    expect(await again.indexStatus('c')).toMatchObject({
      vectors: 400,
      graph: { elements: 442, deleted: 42, missing: 0, ef: 64 },
      upkeep: false,
    });
    const nearest = async (query: Float32Array): Promise<string> =>
      (await again.search('c', { vector: query, k: 1, exact: false }))[0]!.id;
    expect([await nearest(queries[0]!), await nearest(queries[1]!)]).toEqual(['new', 'i100']);
    await expectRightSearches(again, ['new', ...left.filter((id) => id !== 'i101')]);
  });

  it('is saved every so many changes, and replaced as one', async () => {
    const dataDir = newFolder();
    const store = await openStore(dataDir, { saveGraphEvery: 100 });
    await store.createCollection('c', settings({ dimension: DIMENSION }));
    await store.putImages('c', images.slice(0, 99));
    await store.settle();
    expect(await readdir(graphFolder(dataDir))).toEqual([]);
    await store.putImages('c', images.slice(99, 100));
    await store.settle();
    const first = await graphFile(dataDir, '.hnsw');
    await store.putImages('c', images.slice(100, 200));
    await store.settle();
    const second = await graphFile(dataDir, '.hnsw');
    expect(second).not.toBe(first);
    const sidecar = JSON.parse(await readFile(await graphFile(dataDir, '.json'), 'utf8')) as {
      file: string;
      count: number;
    };
    expect(second.endsWith(sidecar.file)).toBe(true);
    expect(sidecar.count).toBe(200);
  });

  it.skipIf(process.platform !== 'linux')(
    'that cannot be written whole is reported, and nothing is lost',
    async () => {
      const dataDir = await copyOfSaved();
      const store = await openStore(dataDir);
      const before = await graphFile(dataDir, '.hnsw');
      await store.putImages('c', [image('new', queries[0]!)]);
      // Where the next graph is written first: a disk without room, on which the library sees no error.
      await symlink('/dev/full', (await graphFile(dataDir, '.json')).replace(/json$/, 'tmp'));
      await store.close();
      expect(warnings).toEqual([expect.stringMatching(/could not be saved/)]);
      expect(await graphFile(dataDir, '.hnsw')).toBe(before);

      const again = await openStore(dataDir);
      await again.settle();
      expect(warnings).toHaveLength(1);
      expect((await again.indexStatus('c')).graph).toMatchObject({ elements: 441, missing: 0 });
      await expectRightSearches(again, [...left, 'new']);
    },
  );

  it('goes with its collection, and what a crash left behind is swept away', async () => {
    const dataDir = await copyOfSaved();
    const store = await openStore(dataDir);
    await store.createCollection('other', settings());
    await store.deleteCollection('c');
    expect(await readdir(graphFolder(dataDir))).toEqual([]);
    await store.close();
    for (const name of ['gone.abc.hnsw', 'gone.json', 'gone.tmp', 'README.txt']) {
      await writeFile(join(graphFolder(dataDir), name), 'x');
    }
    await openStore(dataDir);
    expect(await readdir(graphFolder(dataDir))).toEqual(['README.txt']);
    expect(warnings).toEqual([]);
  });
});

describe('a graph in memory', () => {
  async function openWith(options: Partial<EmbeddedStoreOptions>): Promise<EmbeddedCollectionStore> {
    const store = await openStore(newFolder(), options);
    await store.createCollection('c', settings({ dimension: DIMENSION }));
    return store;
  }

  it('is built when the collection has grown to exactBelow', async () => {
    const store = await openWith({ exactBelow: 50 });
    await store.putImages('c', images.slice(0, 49));
    await store.settle();
    expect(await store.indexStatus('c')).toMatchObject({ vectors: 49, graph: null, upkeep: false });
    await store.putImages('c', images.slice(49, 50));
    await store.settle();
    expect((await store.indexStatus('c')).graph).toEqual({ elements: 50, deleted: 0, missing: 0, ef: 64 });
  });

  it('is built when a query asks for it', async () => {
    const store = await openWith({ exactBelow: 10_000 });
    await store.putImages('c', images);
    await store.search('c', { vector: queries[0]!, k: 1, exact: undefined });
    await store.settle();
    expect((await store.indexStatus('c')).graph).toBeNull();
    await store.search('c', { vector: queries[0]!, k: 1, exact: false });
    await store.settle();
    expect((await store.indexStatus('c')).graph).toEqual({ elements: 440, deleted: 0, missing: 0, ef: 64 });
  });

  it('keeps deleted elements up to a fifth, and is built anew beyond', async () => {
    const store = await openWith({});
    await store.putImages('c', images);
    await store.settle();
    const remove = (from: number, to: number): Promise<unknown> =>
      Promise.all(images.slice(from, to).map(({ id }) => store.deleteImage('c', id)));
    await remove(0, 88);
    await store.settle();
    expect((await store.indexStatus('c')).graph).toMatchObject({ elements: 440, deleted: 88 });
    await remove(88, 89);
    await store.settle();
    expect((await store.indexStatus('c')).graph).toEqual({ elements: 351, deleted: 0, missing: 0, ef: 64 });
    await expectRightSearches(
      store,
      images.slice(89).map(({ id }) => id),
    );
    await remove(89, 440);
    await store.settle();
    expect(await store.indexStatus('c')).toMatchObject({ vectors: 0, graph: { elements: 0, deleted: 0 } });
    expect(await store.search('c', { vector: queries[0]!, k: 5, exact: false })).toEqual([]);
    await store.putImages('c', images);
    await store.settle();
    await expectRightSearches(
      store,
      images.map(({ id }) => id),
    );
  });

  it('is followed with the ef of the query, and the collection’s own afterwards', async () => {
    const store = await openWith({});
    await store.putImages('c', images);
    await store.settle();
    await store.search('c', { vector: queries[0]!, k: 1, ef: 7, exact: false });
    expect((await store.indexStatus('c')).graph?.ef).toBe(64);
  });
});
