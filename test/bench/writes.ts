import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NewImage } from '#dino/collections/collection-store.js';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { createRandom, image, settings } from '../contracts/collection-fixtures.js';

const WRITERS = [1, 8, 64];
const SECONDS = 2;
const ROUNDS = 3;
const DIMENSION = 384;
/** A thumbnail and a small photo. */
const BYTES = 20_000;

/**
 * Writes per second to the embedded store, each image a call of its own, acknowledged on disk: one call at a time
 * ("alone") beside N writers at once, which share commits ("grouped"); in turn, A B A B. Give a folder to measure its
 * disk; the default is the system's temporary folder.
 */
export async function run(args: string[]): Promise<void> {
  const dataDir = await mkdtemp(join(args[0] ?? tmpdir(), 'dino-bench-'));
  const store = await EmbeddedCollectionStore.open({ dataDir, exactBelow: 1_000_000 });
  try {
    await store.createCollection('c', settings({ dimension: DIMENSION }));
    const next = createImages();
    const rows: Record<string, object> = {};
    for (const writers of WRITERS) {
      const [alone, grouped]: [Rate[], Rate[]] = [[], []];
      for (let round = 0; round < ROUNDS; round++) {
        alone.push(await measure(store, next, { writers, oneByOne: true }));
        grouped.push(await measure(store, next, { writers, oneByOne: false }));
      }
      const [a, g] = [sum(alone), sum(grouped)];
      rows[`${writers} writers`] = {
        'alone, writes/s': Math.round(a.writes / a.seconds),
        'grouped, writes/s': Math.round(g.writes / g.seconds),
        ratio: round2(g.writes / g.seconds / (a.writes / a.seconds)),
        'writes per commit': round2(g.writes / g.commits),
      };
    }
    console.table(rows);
  } finally {
    await store.close();
    await rm(dataDir, { recursive: true });
  }
}

interface Rate {
  readonly writes: number;
  readonly commits: number;
  readonly seconds: number;
}

/** @param how `oneByOne`: the writers wait for each other, so that no two writes are there at once */
async function measure(
  store: EmbeddedCollectionStore,
  next: () => NewImage,
  how: { writers: number; oneByOne: boolean },
): Promise<Rate> {
  const before = await store.commitCounts();
  const started = performance.now();
  const goOn = (): boolean => performance.now() - started < SECONDS * 1000;
  let turn: Promise<unknown> = Promise.resolve();
  const writer = async (): Promise<void> => {
    while (goOn()) {
      if (how.oneByOne) await (turn = turn.then(() => (goOn() ? store.putImages('c', [next()]) : undefined)));
      else await store.putImages('c', [next()]);
    }
  };
  await Promise.all(Array.from({ length: how.writers }, writer));
  const seconds = (performance.now() - started) / 1000;
  const after = await store.commitCounts();
  return { writes: after.writes - before.writes, commits: after.commits - before.commits, seconds };
}

/** New versions of a thousand images, so that the database stays small. */
function createImages(): () => NewImage {
  const random = createRandom(1);
  const content = Uint8Array.from({ length: BYTES }, () => random() * 256);
  let made = 0;
  return () => {
    const vector = Float32Array.from({ length: DIMENSION }, () => random() - 0.5);
    return { ...image(`i${made % 1000}`, [made++], { version: 'bench' }), content, vector };
  };
}

function sum(rates: readonly Rate[]): Rate {
  const total = (key: keyof Rate): number => rates.reduce((all, rate) => all + rate[key], 0);
  return { writes: total('writes'), commits: total('commits'), seconds: total('seconds') };
}

function round2(value: number): number {
  return Math.round(value * 100) / 100;
}
