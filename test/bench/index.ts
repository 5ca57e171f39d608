import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { BEST_INSTRUCTIONS } from '#dino/collections/embedded/native-index.js';
import { VectorTable } from '#dino/collections/embedded/vector-table.js';
import { comparePeers, findPython, measureThreads } from './index-peers.js';
import { embedPhotos, vectorAt } from './real-vectors.js';
import type { Embeddings } from './real-vectors.js';
import { median } from './statistics.js';

const USAGE = `Usage: npm run bench -- index [options]
Collections of several sizes: rates of storing and building, search time, recall, memory per vector and start-up time.
The vectors are embeddings of photos by the bundled model, and their perturbations beyond; see real-vectors.ts.
  --sizes N[,N]      vectors per collection (default 10000,100000)
  --dimension N      elements per vector (default 384)
  --photos FILE[,..] tars of CLASS/NAME.jpg (default ../shared/data/caltech101-train-0.tar)
  --asked FILE       tar of the photos that are searched for (default ../shared/data/caltech101-val.tar)
  --model DIR        folder of model.onnx and manifest.json (default models/dino-vitmicro16-photos)
  --limit N          embed so many photos of each (default 1500)
  --data DIR         keep the collections there; a run that was cut short goes on from them
  --leg SECONDS      stop building after so long, save, and say how far it came (default: never)
  --peer N           compare with other bindings of hnswlib on so many vectors (default 20000; 0: not at all)
  --python FILE      Python with hnswlib and numpy; without it a temporary environment is made with pip`;

const [M, EF_CONSTRUCTION, EF, K] = [16, 200, 64, 10];
const QUERIES = 500;
const PUT_BATCH = 1000;

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      sizes: { type: 'string', default: '10000,100000' },
      dimension: { type: 'string', default: '384' },
      photos: { type: 'string', default: '../shared/data/caltech101-train-0.tar' },
      asked: { type: 'string', default: '../shared/data/caltech101-val.tar' },
      model: { type: 'string', default: 'models/dino-vitmicro16-photos' },
      limit: { type: 'string', default: '1500' },
      data: { type: 'string' },
      leg: { type: 'string' },
      peer: { type: 'string', default: '20000' },
      python: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const folder = values.data ?? (await mkdtemp(join(tmpdir(), 'dino-bench-')));
  const dimension = Number(values.dimension);
  const limit = Number(values.limit);
  const stored = await embedPhotos(values.photos.split(','), values.model, limit);
  const asked = await embedPhotos([values.asked], values.model, limit);
  const queries = Array.from({ length: QUERIES }, (_, i) => vectorAt(asked, dimension, i, 2));
  console.log(
    `${cpus()[0]!.model.trim()}, ${availableParallelism()} cores, ${BEST_INSTRUCTIONS}; ${dimension} elements, M ${M}, efConstruction ${EF_CONSTRUCTION}, ef ${EF}, k ${K}; ${stored.rows.length} photos`,
  );
  try {
    if (Number(values.peer) > 0) {
      const vectors = Array.from({ length: Number(values.peer) }, (_, i) => vectorAt(stored, dimension, i));
      await printPeers(vectors, queries, values.python, join(folder, 'python'));
    }
    const deadline = values.leg === undefined ? Infinity : performance.now() + Number(values.leg) * 1000;
    const rows: Record<string, unknown> = {};
    for (const size of values.sizes.split(',').map(Number)) {
      rows[size] = await grow({ size, dimension, stored, queries, folder, deadline });
    }
    console.table(rows);
  } finally {
    if (values.data === undefined) await rm(folder, { recursive: true });
  }
}

async function printPeers(
  vectors: Float32Array[],
  queries: Float32Array[],
  wanted: string | undefined,
  folder: string,
): Promise<void> {
  const found = findPython(wanted, folder);
  if ('reason' in found) {
    console.log(`Beside hnswlib's Python binding: not measured (${found.reason}).`);
    return;
  }
  const table = new VectorTable(vectors[0]!.length);
  vectors.forEach((vector, label) => table.add(label, `${label}`, vector));
  const truth = queries.map(
    (query) => new Set(table.nearest(query, K, undefined, new Set()).map(({ label }) => label)),
  );
  const threads = availableParallelism();
  const setup = {
    vectors,
    queries,
    truth,
    m: M,
    efConstruction: EF_CONSTRUCTION,
    ef: EF,
    k: K,
    threads,
    ...found,
  };
  console.log(`${vectors.length} vectors, one thread, rates per second of processor time:`);
  console.table(rounded(await comparePeers(setup)));
  const gain = measureThreads(setup);
  console.log(
    `By the clock, ${threads} threads build ${gain.build.toFixed(2)} times as fast as one and search batches ${gain.search.toFixed(2)} times.`,
  );
}

interface Growth {
  readonly size: number;
  readonly dimension: number;
  readonly stored: Embeddings;
  readonly queries: readonly Float32Array[];
  readonly folder: string;
  /** When building stops, on the clock of `performance`. */
  readonly deadline: number;
}

async function grow(options: Growth): Promise<Record<string, unknown>> {
  const { size, dimension, queries, deadline } = options;
  const dataDir = join(options.folder, `${size}x${dimension}`);
  const putRate = await put(options, dataDir);
  let store = await EmbeddedCollectionStore.open({ dataDir, saveGraphEvery: 100_000 });
  const before = (await store.indexStatus('c')).graph?.elements ?? 0;
  const builtFor = before < size ? await buildUntil(store, deadline) : 0;
  const status = await store.indexStatus('c');
  const elements = status.graph?.elements ?? 0;
  await store.close();
  const facts = {
    'stored/s': putRate && Math.round(putRate),
    'built/s': elements > before ? Math.round((elements - before) / builtFor) : undefined,
    'bytes per vector': Math.round(status.bytes / status.vectors),
  };
  if (elements < size) return { ...facts, stored: status.vectors, built: elements };

  const started = performance.now();
  store = await EmbeddedCollectionStore.open({ dataDir });
  const startSeconds = (performance.now() - started) / 1000;
  const searches = await search(store, queries);
  await store.close();
  return { ...facts, 'start, s': startSeconds.toFixed(2), ...searches };
}

/** Stores what is not there yet, without a graph. @returns vectors per second, or undefined when all was there */
async function put(
  { size, dimension, stored, deadline }: Growth,
  dataDir: string,
): Promise<number | undefined> {
  const store = await EmbeddedCollectionStore.open({ dataDir, exactBelow: 2 ** 40 });
  const settings = { model: 'bench', modelFingerprint: '0'.repeat(64), dimension, m: M, ef: EF };
  const kept = { content: 'original', thumbnails: true } as const;
  await store.createCollection('c', { ...settings, ...kept, efConstruction: EF_CONSTRUCTION });
  const there = (await store.indexStatus('c')).vectors;
  const started = performance.now();
  for (let from = there; from < size && performance.now() < deadline; from += PUT_BATCH) {
    await store.putImages(
      'c',
      Array.from({ length: Math.min(PUT_BATCH, size - from) }, (_, i) => picture(from + i)),
    );
  }
  const seconds = (performance.now() - started) / 1000;
  const now = (await store.indexStatus('c')).vectors;
  await store.close();
  return there < now ? (now - there) / seconds : undefined;

  function picture(i: number): Parameters<EmbeddedCollectionStore['putImages']>[1][number] {
    const content = new Uint8Array([1]);
    return {
      id: `photo-${i}`,
      vector: vectorAt(stored, dimension, i),
      metadata: {},
      content,
      thumbnail: content,
      contentHash: i.toString(16).padStart(64, '0'),
      mediaType: 'image/jpeg',
      width: 1,
      height: 1,
    };
  }
}

/** @returns seconds */
async function buildUntil(store: EmbeddedCollectionStore, deadline: number): Promise<number> {
  const started = performance.now();
  // Any call begins the work.
  await store.indexStatus('c');
  let timer: NodeJS.Timeout | undefined;
  const stop = new Promise<void>((resolve) => {
    if (deadline < Infinity) timer = setTimeout(resolve, Math.max(0, deadline - started));
  });
  await Promise.race([store.settle(), stop]);
  clearTimeout(timer);
  return (performance.now() - started) / 1000;
}

async function search(
  store: EmbeddedCollectionStore,
  queries: readonly Float32Array[],
): Promise<Record<string, unknown>> {
  const times: { graph: number[]; exact: number[] } = { graph: [], exact: [] };
  let hits = 0;
  const timed = async (vector: Float32Array, exact: boolean): Promise<string[]> => {
    const started = performance.now();
    const found = await store.search('c', { vector, k: K, exact });
    times[exact ? 'exact' : 'graph'].push(performance.now() - started);
    return found.map(({ id }) => id);
  };
  for (const vector of queries) await timed(vector, false);
  times.graph = [];
  for (const vector of queries) {
    const byGraph = await timed(vector, false);
    const truth = await timed(vector, true);
    hits += truth.filter((id) => byGraph.includes(id)).length;
  }
  return {
    'search p50, ms': median(times.graph).toFixed(3),
    'exact p50, ms': median(times.exact).toFixed(2),
    [`recall@${K}`]: (hits / (K * queries.length)).toFixed(4),
  };
}

function rounded(table: Record<string, object>): Record<string, object> {
  const short = (value: unknown): unknown =>
    typeof value === 'number' ? Math.round(value * 1000) / 1000 : value;
  return Object.fromEntries(
    Object.entries(table).map(([name, row]) => [
      name,
      Object.fromEntries(Object.entries(row).map(([key, value]) => [key, short(value)])),
    ]),
  );
}
