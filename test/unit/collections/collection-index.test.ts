import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CollectionIndex } from '#dino/collections/embedded/collection-index.js';
import { GraphFiles } from '#dino/collections/embedded/graph-files.js';
import { createRandom, settings } from '../../contracts/collection-fixtures.js';

const DIMENSION = 8;
const NOTHING: ReadonlySet<number> = new Set();
const oneStep = (): boolean => false;
const allSteps = (): boolean => true;

describe('CollectionIndex', () => {
  let folder: string;
  let index: CollectionIndex;
  let warnings: string[];
  const live = new Map<number, Float32Array>();
  const random = createRandom(31);
  let nextLabel = 0;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dino-index-'));
  });
  afterAll(() => rm(folder, { recursive: true }));
  beforeEach(() => {
    warnings = [];
    live.clear();
    nextLabel = 0;
    index = new CollectionIndex({
      collection: {
        row: 1,
        key: 'key',
        name: 'c',
        side: 0,
        createdAt: '',
        ...settings({ dimension: DIMENSION }),
      },
      files: new GraphFiles(folder),
      exactBelow: 1,
      saveGraphEvery: 1_000_000,
      threads: 2,
      warn: (message) => warnings.push(message),
    });
  });

  function unit(): Float32Array {
    const vector = Float32Array.from({ length: DIMENSION }, () => random() - 0.5);
    const norm = Math.hypot(...vector);
    return vector.map((element) => element / norm);
  }

  function insert(vector = unit()): void {
    live.set(nextLabel, vector);
    index.insert(nextLabel, `id ${nextLabel}`, vector);
    nextLabel++;
  }

  function removeAny(): void {
    const labels = [...live.keys()];
    const label = labels[Math.floor(random() * labels.length)]!;
    live.delete(label);
    index.remove(label);
  }

  /** By the graph, with no chance for a scan to make up for what it lacks. */
  function findNearest(vector: Float32Array): number | undefined {
    const query = { vector, k: 1, ef: 64, exact: false, matching: undefined, excluded: NOTHING };
    return index.search(query)[0]?.label;
  }

  it('finds every vector at every step of building, rebuilding and changing at the same time', () => {
    for (let i = 0; i < 100; i++) insert();
    let rebuilt = 0;
    let elements = 0;
    for (let step = 0; step < 1500; step++) {
      const action = random();
      if (action < 0.25) insert();
      else if (action < 0.5) removeAny();
      else index.upkeep(oneStep);
      const { graph } = index.status();
      if ((graph?.elements ?? 0) < elements) rebuilt++;
      elements = graph?.elements ?? 0;
      if (step % 10 === 0) {
        for (const [label, vector] of live) expect(findNearest(vector)).toBe(label);
      }
    }
    expect(rebuilt).toBeGreaterThan(1);
    while (index.needsUpkeep) index.upkeep(allSteps);
    const { graph, vectors } = index.status();
    expect([vectors, graph!.elements - graph!.deleted, graph!.missing]).toEqual([live.size, live.size, 0]);
    for (const [label, vector] of live) expect(findNearest(vector)).toBe(label);
    expect(warnings).toEqual([]);
  });

  it('looks up no more candidates than it must, and finds the same', () => {
    // Few directions, many vectors: most scores are equal to others.
    const directions = Array.from({ length: 40 }, () => unit());
    for (let i = 0; i < 600; i++) insert(i < 500 ? directions[i % 40] : unit());
    index.upkeep(allSteps);
    for (let i = 0; i < 30; i++) removeAny();
    // These are not in the graph yet.
    for (let i = 0; i < 10; i++) insert(directions[i]);
    expect(index.status().graph).toMatchObject({ deleted: 30, missing: 10 });
    const labels = [...live.keys()];
    for (let i = 0; i < 200; i++) {
      const query = {
        vector: i % 2 === 0 ? directions[i % 40]! : unit(),
        ef: 64,
        exact: false,
        matching: i % 3 === 0 ? labels.filter((label) => label % 2 === 0) : undefined,
        excluded: new Set(labels.slice(i, i + (i % 5))),
      };
      const all = index.search({ ...query, k: 64 });
      expect(all).toHaveLength(64);
      for (const k of [1, 3, 10, 63]) expect(index.search({ ...query, k })).toEqual(all.slice(0, k));
    }
  });

  it('goes on by scanning when the graph fails, and says so once', () => {
    for (let i = 0; i < 10; i++) insert();
    index.upkeep(allSteps);
    expect(index.status().graph).toMatchObject({ elements: 10 });
    // A label that no graph takes, which a catalog never gives out.
    nextLabel = 2 ** 32;
    insert();
    index.upkeep(allSteps);
    expect(warnings).toEqual([expect.stringMatching(/graph of collection "c" failed.*scan/)]);
    expect([index.status().graph, index.needsUpkeep]).toEqual([null, false]);
    removeAny();
    insert();
    for (const [label, vector] of live) expect(findNearest(vector)).toBe(label);
    expect(warnings).toHaveLength(1);
  });
});
