import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import autocannon from 'autocannon';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { HnswGraph } from '#dino/collections/embedded/hnsw-graph.js';
import { VectorTable } from '#dino/collections/embedded/vector-table.js';
import { spawnServer, type ServerProcess } from '../support/server-process.js';
import { BUNDLED } from './bench-server.js';
import { measureTree } from './process-tree.js';
import { readOptions } from './read-options.js';
import { embedPhotos, vectorAt } from './real-vectors.js';
import { Reporter, type Table } from './report.js';
import { median } from './statistics.js';

const VERB = {
  name: 'search',
  purpose:
    'How much of what a scan finds the planned search finds under filters that fewer and fewer images match; and searches ' +
    'over HTTP by stored id beside the bare call of the graph. The vectors are embeddings of photos, and their ' +
    'perturbations beyond; see real-vectors.ts.',
  options: {
    size: { value: 'N', meaning: 'vectors', fallback: 100_000, min: 100, max: 10_000_000 },
    photos: {
      value: 'FILE[,..]',
      meaning: 'tars of CLASS/NAME.jpg',
      fallback: '../shared/data/caltech101-train-0.tar',
    },
    asked: {
      value: 'FILE',
      meaning: 'tar of the photos that are searched for',
      fallback: '../shared/data/caltech101-val.tar',
    },
    model: { value: 'DIR', meaning: 'folder of model.onnx and manifest.json', fallback: BUNDLED },
    limit: { value: 'N', meaning: 'embed so many photos of each', fallback: 1500, min: 1, max: 1e6 },
    seconds: { value: 'N', meaning: 'load of the server', fallback: 10, min: 1, max: 3600 },
  },
} as const;

const [M, EF_CONSTRUCTION, EF, K] = [16, 200, 64, 10];
const QUERIES = 200;
const DRAWS = 1000;
const SHARES = [1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];
const PUT_BATCH = 1000;

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(VERB, args);
  if (options === undefined) return;
  const { limit, size, seconds } = options;
  const reporter = new Reporter('search', options);
  const stored = await embedPhotos(options.photos.split(','), options.model, limit);
  const asked = await embedPhotos([options.asked], options.model, limit);
  const { dimension } = stored;
  const vectors = Array.from({ length: size }, (_, i) => vectorAt(stored, dimension, i));
  const queries = Array.from({ length: QUERIES }, (_, i) => vectorAt(asked, dimension, i, 2));
  const setting = `${size} x ${dimension}, M ${M}, ef ${EF}, k ${K}`;
  const dataDir = await mkdtemp(join(tmpdir(), 'dino-bench-'));
  try {
    const store = await EmbeddedCollectionStore.open({ dataDir });
    await fill(store, vectors);
    reporter.table(`recall under filters, ${setting}`, await recallCurve(store, queries));
    await store.close();
    await overHttp(reporter, { dataDir, vectors, seconds, setting });
    await reporter.finish(options.json);
  } finally {
    await rm(dataDir, { recursive: true });
  }
}

/** Stores the vectors, each with a number drawn from 0..DRAWS-1, and waits for the graph. */
async function fill(store: EmbeddedCollectionStore, vectors: readonly Float32Array[]): Promise<void> {
  const settings = {
    model: 'bench',
    modelFingerprint: '0'.repeat(64),
    dimension: vectors[0]!.length,
    ef: EF,
  };
  await store.createCollection('c', { ...settings, m: M, efConstruction: EF_CONSTRUCTION });
  const content = new Uint8Array([1]);
  const pictures = vectors.map((vector, i) => ({
    id: `photo-${i}`,
    vector,
    // A multiplicative hash: as good as drawn, and the same in every run.
    metadata: { draw: Math.floor(((Math.imul(i + 1, 0x9e3779b1) >>> 0) / 2 ** 32) * DRAWS) },
    content,
    thumbnail: content,
    contentHash: i.toString(16).padStart(64, '0'),
    mediaType: 'image/jpeg',
    width: 1,
    height: 1,
  }));
  for (let from = 0; from < pictures.length; from += PUT_BATCH) {
    await store.putImages('c', pictures.slice(from, from + PUT_BATCH));
  }
  await store.search('c', { vector: vectors[0]!, k: 1, exact: false });
  await store.settle();
}

async function recallCurve(store: EmbeddedCollectionStore, queries: readonly Float32Array[]): Promise<Table> {
  const rows: Table = {};
  for (const share of SHARES) {
    const filter = share === 1 ? undefined : { field: 'draw', lt: share * DRAWS };
    const times: number[] = [];
    let hits = 0;
    let possible = 0;
    for (const vector of queries) {
      const started = performance.now();
      const found = await store.search('c', { vector, k: K, filter });
      times.push(performance.now() - started);
      const ids = new Set(found.map(({ id }) => id));
      const truth = await store.search('c', { vector, k: K, filter, exact: true });
      hits += truth.filter(({ id }) => ids.has(id)).length;
      possible += truth.length;
    }
    rows[`${share * 100} %`] = {
      [`recall@${K}`]: round(hits / possible),
      'search p50, ms': round(median(times)),
    };
  }
  return rows;
}

/** One connection, one request at a time; and as many as keep the server busy. */
async function overHttp(
  reporter: Reporter,
  options: { dataDir: string; vectors: readonly Float32Array[]; seconds: number; setting: string },
): Promise<void> {
  const { dataDir, vectors, seconds, setting } = options;
  const bare = bareCalls(vectors);
  const server = await spawnServer({ dataDir });
  try {
    const load = (connections: number) => measure(server, { connections, seconds, size: vectors.length });
    await load(4);
    const [single, busy] = [await load(1), await load(16)];
    reporter.table(`search by stored id, ${setting}`, {
      'bare call of the graph': { 'p50, ms': bare, 'requests/s': 1000 / bare, ratio: 1 },
      'over HTTP, one after the other': {
        'p50, ms': single.p50,
        'requests/s': single.rate,
        ratio: single.p50 / bare,
        'requests per second of processor time': single.perCore,
      },
      'over HTTP, 16 at once': {
        'p50, ms': busy.p50,
        'requests/s': busy.rate,
        'requests per second of processor time': busy.perCore,
      },
    });
    reporter.goal('searchOverBare', single.p50 / bare);
    reporter.goal('searchRate', busy.perCore);
  } finally {
    await server.stop();
  }
}

interface Load {
  readonly p50: number;
  readonly rate: number;
  /** Requests per second of the service's processor time, so that it does not matter who else is busy. */
  readonly perCore: number;
}

async function measure(
  server: ServerProcess,
  { connections, seconds, size }: { connections: number; seconds: number; size: number },
): Promise<Load> {
  const before = measureTree(server.pid);
  const load: autocannon.Options = {
    url: `${server.url}/v1/collections/c/search`,
    connections,
    duration: seconds,
    requests: Array.from({ length: 500 }, (_, i) => ({
      method: 'POST' as const,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id: `photo-${(i * 7919) % size}`, k: K }),
    })),
  };
  const times: number[] = [];
  const { non2xx, errors, duration } = await new Promise<autocannon.Result>((resolve, reject) => {
    const running = autocannon(load, (error, result) => (error ? reject(error as Error) : resolve(result)));
    running.on('response', (_client, _status, _bytes, ms) => times.push(ms));
  });
  if (non2xx + errors > 0) throw new Error(`${non2xx} answers other than 2xx, ${errors} errors`);
  const after = measureTree(server.pid);
  const spent = after.mainSeconds + after.childSeconds - before.mainSeconds - before.childSeconds;
  return { p50: median(times), rate: times.length / duration, perCore: times.length / spent };
}

/** @returns milliseconds per search, as a median */
function bareCalls(vectors: readonly Float32Array[]): number {
  const table = new VectorTable(vectors[0]!.length);
  vectors.forEach((vector, label) => table.add(label, `${label}`, vector));
  const graph = HnswGraph.create({
    dimension: table.dimension,
    m: M,
    efConstruction: EF_CONSTRUCTION,
    ef: EF,
  });
  graph.add(
    vectors.map((_, label) => label),
    table,
    availableParallelism(),
  );
  const times = Array.from({ length: 2000 }, (_, i) => {
    const started = performance.now();
    graph.search(vectors[(i * 7919) % vectors.length]!, K, undefined, EF);
    return performance.now() - started;
  });
  return median(times.slice(500));
}

const round = (value: number): number => Math.round(value * 10_000) / 10_000;
