import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { BEST_INSTRUCTIONS } from '#dino/collections/embedded/native-index.js';
import { VectorTable } from '#dino/collections/embedded/vector-table.js';
import { comparePeers, findPython, measureThreads } from './index-peers.js';
import { readOptions } from './read-options.js';
import { embedPhotos, vectorAt, VECTOR_OPTIONS, type Embeddings } from './real-vectors.js';
import { Reporter, type Table } from './report.js';
import { median } from './statistics.js';

const VERB = {
  name: 'index',
  purpose:
    'Collections of several sizes: rates of storing and building, search time, recall, memory per vector and start-up time. ' +
    'The vectors are embeddings of photos, and their perturbations beyond; see real-vectors.ts.',
  options: {
    sizes: {
      value: 'N[,N..]',
      meaning: 'vectors per collection',
      fallback: [10_000, 100_000] as readonly number[],
      min: 1,
      max: 1e8,
    },
    dimension: { value: 'N', meaning: 'elements per vector', fallback: 384, min: 1, max: 4096 },
    ...VECTOR_OPTIONS,
    folder: {
      value: 'DIR',
      meaning: 'keep the collections there; a run that was cut short goes on from them',
      fallback: '',
    },
    leg: {
      value: 'SECONDS',
      meaning: 'stop building after so long, save, and say how far it came; 0: never',
      fallback: 0,
      min: 0,
      max: 1e6,
    },
    peer: {
      value: 'N',
      meaning: 'compare with other bindings of hnswlib on so many vectors; 0: not at all',
      fallback: 20_000,
      min: 0,
      max: 1e7,
    },
    python: {
      value: 'FILE',
      meaning: 'Python with hnswlib and numpy; none: a temporary environment is made with pip',
      fallback: '',
    },
  },
} as const;

const [M, EF_CONSTRUCTION, EF, K] = [16, 200, 64, 10];
const QUERIES = 500;
const PUT_BATCH = 1000;

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(VERB, args);
  if (options === undefined) return;
  const { dimension, limit, model, leg, peer } = options;
  const stored = await embedPhotos(options.photos.split(','), model, limit);
  const asked = await embedPhotos([options.asked], model, limit);
  const queries = Array.from({ length: QUERIES }, (_, i) => vectorAt(asked, dimension, i, 2));
  const reporter = new Reporter('index', options);
  const folder = options.folder || (await mkdtemp(join(tmpdir(), 'dino-bench-')));
  try {
    if (peer > 0) {
      const vectors = Array.from({ length: peer }, (_, i) => vectorAt(stored, dimension, i));
      await reportPeers(reporter, {
        vectors,
        queries,
        wanted: options.python,
        folder: join(folder, 'python'),
      });
    }
    const deadline = leg === 0 ? Infinity : performance.now() + leg * 1000;
    const rows: Table = {};
    for (const size of options.sizes) {
      const facts = await grow({ size, dimension, stored, queries, folder, deadline });
      rows[`${size} vectors`] = known(facts);
    }
    const setting = `${dimension} elements, M ${M}, efConstruction ${EF_CONSTRUCTION}, ef ${EF}, k ${K}`;
    reporter.table(`collections, ${setting}, ${BEST_INSTRUCTIONS}`, rows);
    await reporter.finish(options.json);
  } finally {
    if (options.folder === '') await rm(folder, { recursive: true });
  }
}

async function reportPeers(
  reporter: Reporter,
  options: { vectors: Float32Array[]; queries: Float32Array[]; wanted: string; folder: string },
): Promise<void> {
  const { vectors, queries, wanted, folder } = options;
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
  reporter.table(
    `${vectors.length} vectors, one thread, rates per second of processor time`,
    await comparePeers(setup),
  );
  const gain = measureThreads(setup);
  reporter.table(`${threads} threads over one, by the clock`, {
    building: { ratio: gain.build },
    'batches of searches': { ratio: gain.search },
  });
}

/** What is undefined was not measured. */
type Facts = Record<string, number | undefined>;

function known(facts: Facts): Record<string, number> {
  const measured = Object.entries(facts).filter((fact): fact is [string, number] => fact[1] !== undefined);
  return Object.fromEntries(measured);
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

async function grow(options: Growth): Promise<Facts> {
  const { size, dimension, queries, deadline } = options;
  const dataDir = join(options.folder, `${size}x${dimension}`);
  const putRate = await put(options, dataDir);
  let store = await EmbeddedCollectionStore.open({ dataDir, exactBelow: 1, saveGraphEvery: 100_000 });
  const before = (await store.indexStatus('c')).graph?.elements ?? 0;
  const builtFor = before < size ? await buildUntil(store, deadline) : 0;
  const status = await store.indexStatus('c');
  const elements = status.graph?.elements ?? 0;
  await store.close();
  const facts = {
    'stored/s': putRate,
    'built/s': elements > before ? (elements - before) / builtFor : undefined,
    'bytes per vector': status.bytes / status.vectors,
  };
  if (elements < size) return { ...facts, stored: status.vectors, built: elements };

  const started = performance.now();
  store = await EmbeddedCollectionStore.open({ dataDir, exactBelow: 1 });
  const startSeconds = (performance.now() - started) / 1000;
  const searches = await search(store, queries);
  await store.close();
  return { ...facts, 'start, s': startSeconds, ...searches };
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

async function search(store: EmbeddedCollectionStore, queries: readonly Float32Array[]): Promise<Facts> {
  const times: { graph: number[]; exact: number[] } = { graph: [], exact: [] };
  let [hits, possible] = [0, 0];
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
    possible += truth.length;
  }
  return {
    'search p50, ms': median(times.graph),
    'exact p50, ms': median(times.exact),
    [`recall@${K}`]: hits / possible,
  };
}
