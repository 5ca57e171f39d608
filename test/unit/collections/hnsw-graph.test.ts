import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HnswGraph } from '#dino/collections/embedded/hnsw-graph.js';
import { VectorTable } from '#dino/collections/embedded/vector-table.js';

const SHAPE = { dimension: 2, m: 8, efConstruction: 50, ef: 33 };
const always = (): boolean => true;

/** A unit vector at an angle in degrees. */
function at(degrees: number): Float32Array {
  const radians = (degrees * Math.PI) / 180;
  return new Float32Array([Math.cos(radians), Math.sin(radians)]);
}

function graphOf(labels: readonly number[]): HnswGraph {
  const graph = HnswGraph.create(SHAPE);
  add(graph, labels);
  return graph;
}

function add(
  graph: HnswGraph,
  labels: readonly number[],
  threads = 1,
  angle = (label: number) => label % 360,
): void {
  const table = new VectorTable(2);
  for (const label of labels) table.add(label, `${label}`, at(angle(label)));
  graph.add(labels, table, threads);
}

describe('HnswGraph', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dino-hnsw-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('finds the nearest first', () => {
    expect(graphOf([0, 10, 20, 30, 40]).search(at(19), 3, undefined)).toEqual([20, 10, 30]);
  });

  it('finds all that are as near as the last', () => {
    const graph = graphOf([]);
    // Three vectors in four directions each, and one between the first two directions.
    add(graph, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 1, (label) => 90 * (label % 4));
    add(graph, [12], 1, () => 45);
    const found = (count: number): number[] =>
      graph.search(at(5), count, undefined, 13).sort((a, b) => a - b);
    expect(found(1)).toEqual([0, 4, 8]);
    expect(found(3)).toEqual([0, 4, 8]);
    expect(found(4)).toEqual([0, 4, 8, 12]);
    expect(found(5)).toEqual([0, 1, 4, 5, 8, 9, 12]);
    expect(found(13)).toHaveLength(13);
    expect(graph.searchMany(at(5), 1, undefined, 2, 13)[0]!.sort((a, b) => a - b)).toEqual([0, 4, 8]);
  });

  it('refuses a label that is there already, which the library would replace', () => {
    const graph = graphOf([1, 2]);
    expect(() => add(graph, [3, 2])).toThrow(/label 2 is in the graph already/);
    expect([...graph.labels()]).toEqual([1, 2]);
  });

  it.each([-1, 2 ** 32, 1.5, NaN])('refuses the label %d, which would be cut', (label) => {
    const graph = graphOf([]);
    expect(() => add(graph, [label], 1, () => 0)).toThrow(/label/);
    expect(graph.size).toBe(0);
  });

  it('keeps labels up to the last uint32', () => {
    const graph = graphOf([2 ** 31, 2 ** 32 - 1]);
    expect([...graph.labels()]).toEqual([2 ** 31, 2 ** 32 - 1]);
    expect(graph.search(at(2 ** 31 % 360), 5, [2 ** 31, 2 ** 32 - 1])).toHaveLength(2);
    expect(graph.search(at(0), 5, [2 ** 32 - 1])).toEqual([2 ** 32 - 1]);
  });

  it.each([1, 3])('grows beyond its first capacity, by %i threads', (threads) => {
    const graph = HnswGraph.create(SHAPE);
    for (let label = 0; label < 3000; label += 500)
      add(
        graph,
        Array.from({ length: 500 }, (_, i) => label + i),
        threads,
        (l) => l / 10,
      );
    expect(graph.size).toBe(3000);
    // With as narrow a search as one candidate, what is found depends on the order in which threads added.
    expect(graph.search(at(250), 1, undefined, SHAPE.ef)).toEqual([2500]);
  });

  it('finds for many queries, by more threads than one, what it finds for each', () => {
    const graph = graphOf(Array.from({ length: 360 }, (_, i) => i));
    const queries = Array.from({ length: 50 }, (_, i) => at(i * 7.3));
    const together = new Float32Array(queries.flatMap((query) => [...query]));
    const each = queries.map((query) => graph.search(query, 5, undefined));
    expect(graph.searchMany(together, 5, undefined, 4)).toEqual(each);
    expect(graph.searchMany(together, 5, [3], 4)).toEqual(queries.map(() => [3]));
    expect(graph.searchMany(new Float32Array(0), 5, undefined, 4)).toEqual([]);
  });

  it('returns what there is when asked for more, and nothing when it is empty', () => {
    expect(graphOf([]).search(at(0), 10, undefined)).toEqual([]);
    expect(graphOf([5, 6]).search(at(0), 4096, undefined)).toEqual([5, 6]);
  });

  it('finds only what is allowed', () => {
    const graph = graphOf([0, 10, 20, 30, 40]);
    expect(graph.search(at(0), 5, [30, 40, 999])).toEqual([30, 40]);
    expect(graph.search(at(0), 5, [])).toEqual([]);
  });

  it('does not find what is deleted, also after it was saved and read', () => {
    const graph = graphOf([0, 10, 20]);
    graph.markDeleted(10);
    expect(graph.search(at(10), 3, undefined).sort()).toEqual([0, 20]);
    const path = join(folder, 'deleted.hnsw');
    graph.save(path);
    const read = HnswGraph.load(path, SHAPE, (label) => label === 0);
    expect([read.size, read.deleted]).toEqual([3, 2]);
    expect(read.search(at(10), 3, undefined)).toEqual([0]);
  });

  it('searches with the ef of its shape after it was read, not the library’s 10', () => {
    const path = join(folder, 'ef.hnsw');
    graphOf([1, 2, 3]).save(path);
    expect(HnswGraph.load(path, SHAPE, always).ef).toBe(33);
  });

  it('takes elements after it was saved empty and read', () => {
    const path = join(folder, 'empty.hnsw');
    graphOf([]).save(path);
    const graph = HnswGraph.load(path, SHAPE, always);
    add(graph, [7]);
    expect(graph.search(at(0), 1, undefined)).toEqual([7]);
  });

  it('is searched and not changed while it is saved', () => {
    const graph = graphOf([0, 10, 20]);
    graph.startSave(join(folder, 'busy.hnsw'));
    expect(() => add(graph, [30])).toThrow(/being saved/);
    expect(() => graph.markDeleted(10)).toThrow(/being saved/);
    expect(() => graph.startSave(join(folder, 'other.hnsw'))).toThrow(/being saved/);
    expect(graph.search(at(9), 1, undefined)).toEqual([10]);
    while (!graph.finishSave(1000));
    expect(() => graph.finishSave(0)).toThrow(/No save/);
    graph.markDeleted(10);
    add(graph, [30]);
    expect(HnswGraph.load(join(folder, 'busy.hnsw'), SHAPE, always).search(at(9), 1, undefined)).toEqual([
      10,
    ]);
  });
});
