import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { HnswGraph } from '#dino/collections/embedded/hnsw-graph.js';
import { readOptions } from './read-options.js';
import { embedPhotos, vectorAt, VECTOR_OPTIONS } from './real-vectors.js';
import { Reporter, type Table } from './report.js';
import { searchOverHttp } from './search-http.js';
import { median } from './statistics.js';

const VERB = {
  name: 'search',
  purpose:
    'How much of what a scan finds the planned search finds under filters that fewer and fewer images match; and searches ' +
    'over HTTP by stored id beside the bare call of the graph and what else they are made of. The vectors are embeddings of photos, and their ' +
    'perturbations beyond; see real-vectors.ts.',
  options: {
    size: { value: 'N', meaning: 'vectors', fallback: 100_000, min: 100, max: 10_000_000 },
    ...VECTOR_OPTIONS,
    seconds: { value: 'N', meaning: 'each load of each server', fallback: 3, min: 0.1, max: 3600 },
    rounds: { value: 'N', meaning: 'turns of the servers', fallback: 3, min: 1, max: 1000 },
    recall: { value: 'yes|no', meaning: 'measure recall too', fallback: 'yes', oneOf: ['yes', 'no'] },
    folder: {
      value: 'DIR',
      meaning: 'fill the store there, or take it from there where that was done, and leave it',
      fallback: '',
    },
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
  const { limit, size, seconds, rounds } = options;
  const reporter = new Reporter('search', options);
  const stored = await embedPhotos(options.photos.split(','), options.model, limit);
  const asked = await embedPhotos([options.asked], options.model, limit);
  const { dimension } = stored;
  const vectors = Array.from({ length: size }, (_, i) => vectorAt(stored, dimension, i));
  const queries = Array.from({ length: QUERIES }, (_, i) => vectorAt(asked, dimension, i, 2));
  const setting = `${size} x ${dimension}, M ${M}, ef ${EF}, k ${K}`;
  const dataDir = options.folder || (await mkdtemp(join(tmpdir(), 'dino-bench-')));
  try {
    const store = await EmbeddedCollectionStore.open({ dataDir });
    await fill(store, vectors);
    if (options.recall === 'yes')
      reporter.table(`recall under filters, ${setting}`, await recallCurve(store, queries));
    await store.close();
    const graph = await loadGraph(dataDir, dimension);
    const search = (i: number) => graph.search(vectors[(i * 7919) % size]!, K, undefined, EF);
    const measured = await searchOverHttp({ dataDir, size, k: K, seconds, rounds, search });
    reporter.table(`search by stored id, ${setting}`, measured.table);
    reporter.goal('searchOverBare', measured.overBare);
    reporter.goal('searchRate', measured.perCore);
    await reporter.finish(options.json);
  } finally {
    if (options.folder === '') await rm(dataDir, { recursive: true });
  }
}

/** Stores the vectors that are not there yet, each with a number drawn from 0..DRAWS-1, and waits for the graph. */
async function fill(store: EmbeddedCollectionStore, vectors: readonly Float32Array[]): Promise<void> {
  const settings = {
    model: 'bench',
    modelFingerprint: '0'.repeat(64),
    dimension: vectors[0]!.length,
    ef: EF,
  };
  const { collection } = await store.createCollection('c', {
    ...settings,
    m: M,
    efConstruction: EF_CONSTRUCTION,
  });
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
  for (let from = collection.count; from < pictures.length; from += PUT_BATCH) {
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
    // A small collection may have nothing that matches.
    if (possible === 0) continue;
    rows[`${share * 100} %`] = {
      [`recall@${K}`]: round(hits / possible),
      'search p50, ms': round(median(times)),
    };
  }
  return rows;
}

/** The graph as the store has written it, which is the one that the service searches. */
async function loadGraph(dataDir: string, dimension: number): Promise<HnswGraph> {
  const folder = join(dataDir, 'graphs');
  const file = (await readdir(folder)).find((name) => name.endsWith('.hnsw'));
  if (file === undefined) throw new Error(`there is no graph in ${folder}`);
  const shape = { dimension, m: M, efConstruction: EF_CONSTRUCTION, ef: EF };
  return HnswGraph.load(join(folder, file), shape, () => true);
}

const round = (value: number): number => Math.round(value * 10_000) / 10_000;
