import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nativeIndex } from '#dino/collections/embedded/native-index.js';
import type { NativeGraph, NativeVectorStore } from '#dino/collections/embedded/native-index.js';
import { createRandom } from '../../contracts/collection-fixtures.js';

const BASELINE = 'baseline';
const vectorOf = (...elements: number[]): Float32Array => new Float32Array(elements);

/** What no argument of the addon may be. */
const NONSENSE: readonly unknown[] = [
  undefined,
  null,
  true,
  'text',
  {},
  [],
  [1, 2],
  () => 1,
  Symbol('s'),
  10n,
  NaN,
  Infinity,
  -1,
  0.5,
  2 ** 53,
  new Float64Array(2),
  new Uint8Array(2),
  new ArrayBuffer(8),
  vectorOf(NaN, 1),
  vectorOf(1, -Infinity),
  vectorOf(1),
  vectorOf(1, 2, 3),
];

type Method = (...args: unknown[]) => unknown;

describe('the dot product', () => {
  const sets = nativeIndex.supportedInstructions();

  it('is there for every processor', () => {
    expect(sets.at(-1)).toBe(BASELINE);
    expect(new Set(sets).size).toBe(sets.length);
  });

  it.each(sets)('by %s agrees with the definition, at every length', (set) => {
    const random = createRandom(7);
    for (const length of [...Array.from({ length: 70 }, (_, i) => i + 1), 127, 128, 192, 384, 1000]) {
      const store = new nativeIndex.VectorStore(length, set);
      store.reserve(3);
      const vectors = Array.from({ length: 3 }, () => Float32Array.from({ length }, () => random() - 0.5));
      vectors.forEach((vector, slot) => store.write(slot, vector));
      const expected = vectors.map((vector) =>
        vector.reduce((sum, element, i) => sum + element * vectors[0]![i]!, 0),
      );
      const scanned = new Float32Array(3);
      store.scan(vectors[0]!, 0, scanned, 1);
      const scored = new Float32Array(3);
      store.score(vectors[0]!, new Uint32Array([2, 1, 0]), scored);
      expected.forEach((value, slot) => expect(scanned[slot]).toBeCloseTo(value, 4));
      // The same pair has the same score however it is asked for: ties are told by it.
      expect([...scored].reverse()).toEqual([...scanned]);
    }
  });
});

describe('the addon', () => {
  let folder: string;
  let store: NativeVectorStore;
  let graph: NativeGraph;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dino-native-'));
    store = new nativeIndex.VectorStore(2, BASELINE);
    store.reserve(10);
    for (let slot = 0; slot < 10; slot++) store.write(slot, vectorOf(Math.cos(slot), Math.sin(slot)));
    graph = new nativeIndex.Graph(2, 4, 20, BASELINE);
    graph.add(store, new Uint32Array([0, 1, 2]), new Uint32Array([0, 1, 2]), 2);
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('scans as many slots at once as it is asked to, by any number of threads', () => {
    const large = new nativeIndex.VectorStore(100, BASELINE);
    large.reserve(50_000);
    for (let slot = 0; slot < 50_000; slot += 7) large.write(slot, new Float32Array(100).fill(slot / 1000));
    const scores = new Float32Array(49_999);
    large.scan(new Float32Array(100).fill(0.01), 1, scores, 3);
    scores.forEach((score, i) => {
      const slot = i + 1;
      if (Math.abs(score - (slot % 7 === 0 ? slot / 1000 : 0)) > 1e-3) expect(score).toBe(slot);
    });
  });

  /** Arguments that are right, of which each in turn is replaced by nonsense. */
  const calls: [string, () => [object, string], () => unknown[]][] = [
    ['VectorStore.reserve', () => [store, 'reserve'], () => [5]],
    ['VectorStore.write', () => [store, 'write'], () => [1, vectorOf(Math.cos(1), Math.sin(1))]],
    ['VectorStore.move', () => [store, 'move'], () => [9, 9]],
    ['VectorStore.read', () => [store, 'read'], () => [1]],
    ['VectorStore.scan', () => [store, 'scan'], () => [vectorOf(1, 0), 0, new Float32Array(3), 1]],
    [
      'VectorStore.score',
      () => [store, 'score'],
      () => [vectorOf(1, 0), new Uint32Array([1]), new Float32Array(1)],
    ],
    ['Graph.add', () => [graph, 'add'], () => [store, new Uint32Array([3]), new Uint32Array([3]), 1]],
    ['Graph.markDeleted', () => [graph, 'markDeleted'], () => [1]],
    ['Graph.search', () => [graph, 'search'], () => [vectorOf(1, 0), 2, 10, undefined, 1]],
    ['Graph.startSave', () => [graph, 'startSave'], () => [join(folder, 'x')]],
    ['Graph.finishSave', () => [graph, 'finishSave'], () => [1]],
  ];
  it.each(calls)('answers nonsense for any argument of %s by an exception', (_, target, args) => {
    const [object, name] = target();
    const method = (object as Record<string, Method>)[name]!;
    const before = [graph.size, graph.deleted];
    let refused = 0;
    for (let place = 0; place < args().length; place++) {
      for (const nonsense of NONSENSE) {
        // A text is a path, and to write there is right.
        if (name === 'startSave' && nonsense === 'text') continue;
        const given = args();
        given[place] = nonsense;
        try {
          method.apply(object, given);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
          refused++;
        }
      }
    }
    expect(refused).toBeGreaterThanOrEqual(args().length * 10);
    expect(() => method.call({}, ...args())).toThrow();
    expect(() => method.call(undefined, ...args())).toThrow();
    expect(() => method.apply(object === store ? graph : store, args())).toThrow();
    expect([graph.size, graph.deleted]).toEqual(before);
    const { labels, counts } = graph.search(vectorOf(Math.cos(2), Math.sin(2)), 1, 5, undefined, 1);
    expect([...labels.subarray(0, counts[0])]).toEqual([2]);
  });

  it('refuses what is right in kind and wrong in value', () => {
    const query = vectorOf(1, 0);
    const at = (...numbers: number[]): Uint32Array => new Uint32Array(numbers);
    expect(() => store.write(store.capacity, query)).toThrow(/slot/);
    expect(() => store.scan(query, store.capacity - 2, new Float32Array(3), 1)).toThrow(/slots/);
    expect(() => store.score(query, at(store.capacity), new Float32Array(1))).toThrow(/slot/);
    expect(() => store.score(query, at(1, 2), new Float32Array(1))).toThrow(/room/);
    expect(() => store.reserve(2 ** 33)).toThrow(/slots/);
    expect(() => new nativeIndex.VectorStore(2, BASELINE).read(0)).toThrow(/slot/);
    expect(() => graph.add(store, at(3), at(3, 4), 1)).toThrow(/as many/);
    expect(() => graph.add(store, at(store.capacity), at(3), 1)).toThrow(/slot/);
    expect(() => graph.add(store, at(3, 4), at(3, 3), 1)).toThrow(/label 3/);
    expect(() => graph.add(store, at(3), at(0), 1)).toThrow(/label 0/);
    const wide = new nativeIndex.VectorStore(3, BASELINE);
    wide.reserve(1);
    expect(() => graph.add(wide, at(0), at(9), 1)).toThrow(/dimension/);
    expect(() => graph.add(Object.create(store) as NativeVectorStore, at(0), at(9), 1)).toThrow();
    expect(() => graph.markDeleted(77)).toThrow(/label 77/);
    expect(() => graph.search(query, 0, 10, undefined, 1)).toThrow(/k must/);
    expect(() => graph.search(query, 1, 2 ** 30, undefined, 1)).toThrow(/ef must/);
    expect(() => graph.search(query, 1, 1, undefined, 0)).toThrow(/threads/);
    for (const args of [
      [],
      [0, 4, 20, BASELINE],
      [2, 1, 20, BASELINE],
      [2, 4, 0, BASELINE],
      [2, 4, 20, 'mmx'],
    ]) {
      expect(() => Reflect.construct(nativeIndex.Graph, args)).toThrow();
    }
    expect(graph.size).toBe(3);
  });

  it('reads no file but a whole one of its shape, whatever is in it', async () => {
    const path = join(folder, 'whole.hnsw');
    const random = createRandom(12);
    const many = new nativeIndex.VectorStore(2, BASELINE);
    many.reserve(60);
    for (let slot = 0; slot < 60; slot++) many.write(slot, vectorOf(random(), random()));
    const saved = new nativeIndex.Graph(2, 2, 10, BASELINE);
    const all = Uint32Array.from({ length: 60 }, (_, i) => i);
    saved.add(many, all, all, 1);
    saved.startSave(path);
    while (!saved.finishSave(1000));
    const load = (from = path, dimension = 2, m = 2): NativeGraph =>
      new nativeIndex.Graph(dimension, m, 10, BASELINE, from);
    expect(load().size).toBe(60);
    expect(() => load(path, 3)).toThrow(/another shape/);
    expect(() => load(path, 2, 3)).toThrow(/another shape/);
    expect(() => load(join(folder, 'none'))).toThrow(/cannot open.*No such file/);
    expect(() => load(folder)).toThrow(/cannot|damaged/);

    const whole = await readFile(path);
    const damaged = join(folder, 'damaged.hnsw');
    let refused = 0;
    const rounds = 1500;
    for (let round = 0; round < rounds; round++) {
      const bytes = Buffer.from(whole);
      for (let i = 0; i <= round % 3; i++)
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      await writeFile(
        damaged,
        round % 10 === 0 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes,
      );
      try {
        // What changes no more than a coordinate or a link to another element is for the checksum to find.
        const loaded = load(damaged);
        loaded.search(vectorOf(random(), random()), 10, 20, undefined, 1);
        loaded.add(many, new Uint32Array([0]), new Uint32Array([12345]), 1);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(rounds / 10);
    expect(refused).toBeLessThan(rounds);
  });

  it.skipIf(process.platform !== 'linux')('says so when the disk is full', () => {
    graph.startSave('/dev/full');
    expect(() => {
      while (!graph.finishSave(1000));
    }).toThrow(/No space left/);
    graph.startSave(join(folder, 'after.hnsw'));
    while (!graph.finishSave(1000));
  });

  it('may be forgotten in the middle of a save', () => {
    for (let i = 0; i < 20; i++) {
      const short = new nativeIndex.Graph(2, 4, 20, BASELINE);
      short.add(store, new Uint32Array([0, 1]), new Uint32Array([0, 1]), 2);
      short.startSave(join(folder, `forgotten-${i}.hnsw`));
    }
  });
});
