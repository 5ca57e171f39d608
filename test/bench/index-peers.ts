import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import hnswlib from 'hnswlib-node';
import { HnswGraph } from '#dino/collections/embedded/hnsw-graph.js';
import { VectorTable } from '#dino/collections/embedded/vector-table.js';
import { median } from './statistics.js';

export interface PeerSetup {
  readonly vectors: readonly Float32Array[];
  readonly queries: readonly Float32Array[];
  /** Of the vectors nearest to each query, the exact k. */
  readonly truth: readonly ReadonlySet<number>[];
  readonly m: number;
  readonly efConstruction: number;
  readonly ef: number;
  readonly k: number;
  /** Python with hnswlib and numpy. */
  readonly python: string;
  /** Native threads of the parallel rows. */
  readonly threads: number;
}

/** A row of the comparison: rates per second of processor time, or of the clock for the parallel ones. */
type PeerRow = {
  readonly 'vectors built/s': number;
  readonly 'searches/s': number;
  readonly 'recall@k': number;
  readonly 'building, ratio': number;
  readonly 'search, ratio': number;
};

interface Library {
  readonly build: number;
  search(): Promise<{ seconds: number; labels: readonly (readonly number[])[] }>;
  end(): void;
}

const ROUNDS = 7;

/**
 * The same graph by three bindings of hnswlib, on the same vectors in one run; searches in turn, A B C A B C. One thread
 * each and measured in processor time, so that what else runs on the machine does not decide.
 */
export async function comparePeers(setup: PeerSetup): Promise<Record<string, PeerRow>> {
  const libraries: Record<string, Library> = {
    'hnswlib for Python': await buildPython(setup),
    'hnswlib-node': buildHnswlibNode(setup),
    'this project': buildOwn(setup),
  };
  const seconds: Record<string, number[]> = {};
  const recalls: Record<string, number> = {};
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, library] of Object.entries(libraries)) {
      const found = await library.search();
      (seconds[name] ??= []).push(found.seconds);
      recalls[name] = recall(found.labels, setup.truth);
    }
  }
  for (const library of Object.values(libraries)) library.end();
  const builds = setup.vectors.length;
  const rate = (name: string): number => setup.queries.length / median(seconds[name]!);
  const peer = 'hnswlib for Python';
  const rows = Object.entries(libraries).map(([name, library]): [string, PeerRow] => [
    name,
    {
      'vectors built/s': Math.round(builds / library.build),
      'searches/s': Math.round(rate(name)),
      'recall@k': recalls[name]!,
      'building, ratio': libraries[peer]!.build / library.build,
      'search, ratio': rate(name) / rate(peer),
    },
  ]);
  return Object.fromEntries(rows);
}

/** By the clock: one thread and all of them, searches and building. @returns how many times faster all are */
export function measureThreads(setup: PeerSetup): { build: number; search: number } {
  const table = fill(setup);
  const labels = setup.vectors.map((_, label) => label);
  const queries = flatten(setup.queries);
  const build: number[] = [];
  const search: number[] = [];
  for (const threads of [1, setup.threads]) {
    const graph = HnswGraph.create({ ...setup, dimension: table.dimension });
    let started = performance.now();
    graph.add(labels, table, threads);
    build.push(performance.now() - started);
    started = performance.now();
    for (let round = 0; round < ROUNDS; round++)
      graph.searchMany(queries, setup.k, undefined, threads, setup.ef);
    search.push(performance.now() - started);
  }
  return { build: build[0]! / build[1]!, search: search[0]! / search[1]! };
}

/**
 * @param wanted interpreter given by the user, or `''`: a new environment, into which pip installs
 * @returns the interpreter, or why there is none
 */
export function findPython(wanted: string, folder: string): { python: string } | { reason: string } {
  const python = wanted || join(folder, 'bin/python');
  try {
    if (wanted === '') {
      execFileSync('python3', ['-m', 'venv', folder], { stdio: 'pipe' });
      execFileSync(python, ['-m', 'pip', 'install', '-q', 'hnswlib', 'numpy'], { stdio: 'pipe' });
    }
    execFileSync(python, ['-c', 'import hnswlib, numpy'], { stdio: 'pipe' });
    return { python };
  } catch (error) {
    return { reason: error instanceof Error ? error.message.split('\n')[0]! : String(error) };
  }
}

async function buildPython(setup: PeerSetup): Promise<Library> {
  const folder = await mkdtemp(join(tmpdir(), 'dino-bench-'));
  const [vectors, queries] = [join(folder, 'vectors.f32'), join(folder, 'queries.f32')];
  await writeFile(vectors, Buffer.from(flatten(setup.vectors).buffer));
  await writeFile(queries, Buffer.from(flatten(setup.queries).buffer));
  const script = fileURLToPath(new URL('hnswlib-peer.py', import.meta.url));
  const numbers = [setup.vectors[0]!.length, setup.m, setup.efConstruction, setup.ef, setup.k].map(String);
  const child = spawn(setup.python, [script, vectors, queries, ...numbers], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const read = async <T>(): Promise<T> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error('The Python side ended early.');
    return JSON.parse(value) as T;
  };
  const { seconds } = await read<{ seconds: number }>();
  await rm(folder, { recursive: true });
  return {
    build: seconds,
    search: async () => {
      child.stdin.write('\n');
      return read();
    },
    end: () => child.stdin.end(),
  };
}

function buildHnswlibNode(setup: PeerSetup): Library {
  const index = new hnswlib.HierarchicalNSW('ip', setup.vectors[0]!.length);
  index.initIndex(setup.vectors.length, setup.m, setup.efConstruction);
  const build = processorSeconds(() =>
    setup.vectors.forEach((vector, label) => index.addPoint(Array.from(vector), label)),
  );
  index.setEf(setup.ef);
  return {
    build,
    search: async () => {
      let labels: number[][] = [];
      const seconds = processorSeconds(() => {
        labels = setup.queries.map((query) => index.searchKnn(Array.from(query), setup.k).neighbors);
      });
      return { seconds, labels };
    },
    end: () => undefined,
  };
}

function buildOwn(setup: PeerSetup): Library {
  const table = fill(setup);
  const graph = HnswGraph.create({ ...setup, dimension: table.dimension });
  const labels = setup.vectors.map((_, label) => label);
  const build = processorSeconds(() => graph.add(labels, table, 1));
  return {
    build,
    search: async () => {
      let found: number[][] = [];
      const seconds = processorSeconds(() => {
        found = setup.queries.map((query) => graph.search(query, setup.k, undefined, setup.ef));
      });
      return { seconds, labels: found };
    },
    end: () => undefined,
  };
}

function fill(setup: PeerSetup): VectorTable {
  const table = new VectorTable(setup.vectors[0]!.length);
  setup.vectors.forEach((vector, label) => table.add(label, `${label}`, vector));
  return table;
}

function processorSeconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

function flatten(vectors: readonly Float32Array[]): Float32Array {
  const dimension = vectors[0]!.length;
  const all = new Float32Array(vectors.length * dimension);
  vectors.forEach((vector, i) => all.set(vector, i * dimension));
  return all;
}

/** Share of the truth that was found, over all queries. */
function recall(found: readonly (readonly number[])[], truth: readonly ReadonlySet<number>[]): number {
  const hits = found.reduce((sum, row, i) => sum + row.filter((label) => truth[i]!.has(label)).length, 0);
  return hits / truth.reduce((sum, row) => sum + row.size, 0);
}
