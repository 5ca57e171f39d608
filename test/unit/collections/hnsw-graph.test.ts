import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HnswGraph } from '#dino/collections/embedded/hnsw-graph.js';
import { LabelSet } from '#dino/collections/embedded/label-set.js';

const SHAPE = { dimension: 2, m: 8, efConstruction: 50, ef: 33 };
const always = (): boolean => true;

/** A unit vector at an angle in degrees. */
function at(degrees: number): Float32Array {
  const radians = (degrees * Math.PI) / 180;
  return new Float32Array([Math.cos(radians), Math.sin(radians)]);
}

function graphOf(labels: readonly number[]): HnswGraph {
  const graph = HnswGraph.create(SHAPE);
  for (const label of labels) graph.add(label, at(label % 360));
  return graph;
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

  it.each([
    ['too short', new Float32Array(1)],
    ['too long', new Float32Array(3)],
    ['not a number', new Float32Array([NaN, 1])],
    ['infinite', new Float32Array([1, Infinity])],
  ])('keeps a vector that is %s from the library', (_, vector) => {
    const graph = graphOf([1]);
    expect(() => graph.add(2, vector)).toThrow(/vector/);
    expect(() => graph.search(vector, 1, undefined)).toThrow(/vector/);
    expect(graph.labels()).toEqual([1]);
    expect(graph.search(at(1), 5, undefined)).toEqual([1]);
  });

  it.each([-1, 2 ** 32, 1.5, NaN])('keeps the label %d from the library, which would cut it', (label) => {
    const graph = graphOf([]);
    expect(() => graph.add(label, at(0))).toThrow(/label/);
    expect(graph.size).toBe(0);
  });

  it('keeps labels up to the last uint32', () => {
    const graph = graphOf([2 ** 31, 2 ** 32 - 1]);
    expect(graph.labels().sort()).toEqual([2 ** 31, 2 ** 32 - 1]);
  });

  it('grows beyond its first capacity', () => {
    const graph = HnswGraph.create(SHAPE);
    for (let label = 0; label < 3000; label++) graph.add(label, at(label / 10));
    expect(graph.size).toBe(3000);
    expect(graph.search(at(250), 1, undefined)).toEqual([2500]);
  });

  it('returns what there is when asked for more, and nothing when it is empty', () => {
    expect(graphOf([]).search(at(0), 10, undefined)).toEqual([]);
    expect(graphOf([5, 6]).search(at(0), 4096, undefined)).toEqual([5, 6]);
  });

  it('finds only what is allowed', () => {
    const graph = graphOf([0, 10, 20, 30, 40]);
    expect(graph.search(at(0), 5, new LabelSet([30, 40, 999]))).toEqual([30, 40]);
    expect(graph.search(at(0), 5, new LabelSet([]))).toEqual([]);
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
    graph.add(7, at(7));
    expect(graph.search(at(0), 1, undefined)).toEqual([7]);
  });

  it('survives a file that the library refuses', async () => {
    const path = join(folder, 'refused.hnsw');
    await writeFile(path, Buffer.alloc(4096, 1));
    expect(() => HnswGraph.load(path, SHAPE, always)).toThrow(/Hnswlib/);
    expect(() => HnswGraph.load(join(folder, 'nothing'), SHAPE, always)).toThrow(/open/);
    graphOf([1]).save(path);
    expect(HnswGraph.load(path, SHAPE, always).labels()).toEqual([1]);
  });
});
