import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { HnswGraph } from '#dino/collections/embedded/hnsw-graph.js';
import { VectorTable } from '#dino/collections/embedded/vector-table.js';
import { spawnServer } from '../support/server-process.js';
import { median } from './index-peers.js';
import { embedPhotos, vectorAt } from './real-vectors.js';

const USAGE = `Usage: npm run bench -- search [options]
How much of what a scan finds the planned search finds under filters that fewer and fewer images match; and searches
over HTTP by stored id beside the bare call of the graph. The vectors are embeddings of photos by the bundled model,
and their perturbations beyond; see real-vectors.ts.
  --size N           vectors (default 100000)
  --photos FILE[,..] tars of CLASS/NAME.jpg (default ../shared/data/caltech101-train-0.tar)
  --asked FILE       tar of the photos that are searched for (default ../shared/data/caltech101-val.tar)
  --model DIR        folder of model.onnx and manifest.json (default models/dino-vitt16-photos)
  --limit N          embed so many photos of each (default 1500)
  --seconds N        load of the server (default 10)`;

const [M, EF_CONSTRUCTION, EF, K] = [16, 200, 64, 10];
const QUERIES = 200;
const DRAWS = 1000;
const SHARES = [1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];
const PUT_BATCH = 1000;

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      size: { type: 'string', default: '100000' },
      photos: { type: 'string', default: '../shared/data/caltech101-train-0.tar' },
      asked: { type: 'string', default: '../shared/data/caltech101-val.tar' },
      model: { type: 'string', default: 'models/dino-vitt16-photos' },
      limit: { type: 'string', default: '1500' },
      seconds: { type: 'string', default: '10' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const limit = Number(values.limit);
  const size = Number(values.size);
  const stored = await embedPhotos(values.photos.split(','), values.model, limit);
  const asked = await embedPhotos([values.asked], values.model, limit);
  const { dimension } = stored;
  const vectors = Array.from({ length: size }, (_, i) => vectorAt(stored, dimension, i));
  const queries = Array.from({ length: QUERIES }, (_, i) => vectorAt(asked, dimension, i, 2));
  console.log(
    `${cpus()[0]!.model.trim()}, ${availableParallelism()} cores; ${size} x ${dimension}, M ${M}, ef ${EF}, k ${K}; ${stored.rows.length} photos`,
  );
  const dataDir = await mkdtemp(join(tmpdir(), 'dino-bench-'));
  try {
    const store = await EmbeddedCollectionStore.open({ dataDir });
    await fill(store, vectors);
    console.table(await recallCurve(store, queries));
    await store.close();
    console.table(await overHttp(dataDir, vectors, Number(values.seconds)));
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

async function recallCurve(
  store: EmbeddedCollectionStore,
  queries: readonly Float32Array[],
): Promise<Record<string, unknown>> {
  const rows: Record<string, unknown> = {};
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
  dataDir: string,
  vectors: readonly Float32Array[],
  seconds: number,
): Promise<Record<string, unknown>> {
  const bare = bareCalls(vectors);
  const server = await spawnServer({ dataDir });
  try {
    const load = (connections: number) =>
      autocannon({
        url: `${server.url}/v1/collections/c/search`,
        connections,
        duration: seconds,
        requests: Array.from({ length: 500 }, (_, i) => ({
          method: 'POST' as const,
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ id: `photo-${(i * 7919) % vectors.length}`, k: K }),
        })),
      });
    await load(4);
    const [single, busy] = [await load(1), await load(16)];
    for (const { non2xx, errors } of [single, busy]) {
      if (non2xx + errors > 0) throw new Error(`${non2xx} answers other than 2xx, ${errors} errors`);
    }
    const p50 = 1000 / (single['2xx'] / single.duration);
    return {
      'bare call of the graph': { ms: round(bare), 'requests/s': round(1000 / bare), ratio: 1 },
      'over HTTP, one after the other (mean)': {
        ms: round(p50),
        'requests/s': round(1000 / p50),
        ratio: round(p50 / bare),
      },
      'over HTTP, 16 connections': { 'requests/s': round(busy['2xx'] / busy.duration) },
    };
  } finally {
    await server.stop();
  }
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
