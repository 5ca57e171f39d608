import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NewImage } from '#dino/collections/collection-store.js';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { createRandom, image, settings } from '../contracts/collection-fixtures.js';
import { readOptions } from './read-options.js';
import { Reporter, type Table } from './report.js';

const VERB = {
  name: 'writes',
  purpose:
    'Writes per second to the embedded store, each image a call of its own, acknowledged on disk: one call at a time ' +
    '(alone) beside N writers at once, which share commits (grouped); in turn, A B A B.',
  options: {
    writers: {
      value: 'N[,N..]',
      meaning: 'writers at once',
      fallback: [1, 8, 64] as readonly number[],
      min: 1,
      max: 1000,
    },
    seconds: { value: 'N', meaning: 'of each turn', fallback: 2, min: 0.05, max: 3600 },
    rounds: { value: 'N', meaning: 'turns of each', fallback: 3, min: 1, max: 1000 },
    folder: {
      value: 'DIR',
      meaning: "measure the disk of this folder; none: the system's temporary one",
      fallback: '',
    },
  },
} as const;

const DIMENSION = 384;
/** A thumbnail and a small photo. */
const BYTES = 20_000;

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(VERB, args);
  if (options === undefined) return;
  const { seconds } = options;
  const reporter = new Reporter('writes', options);
  const dataDir = await mkdtemp(join(options.folder || tmpdir(), 'dino-bench-'));
  const store = await EmbeddedCollectionStore.open({ dataDir, exactBelow: 1_000_000 });
  try {
    await store.createCollection('c', settings({ dimension: DIMENSION }));
    const next = createImages();
    const rows: Table = {};
    for (const writers of options.writers) {
      const [alone, grouped]: [Rate[], Rate[]] = [[], []];
      for (let round = 0; round < options.rounds; round++) {
        alone.push(await measure(store, next, { writers, seconds, oneByOne: true }));
        grouped.push(await measure(store, next, { writers, seconds, oneByOne: false }));
      }
      const [a, g] = [sum(alone), sum(grouped)];
      rows[`${writers} writers`] = {
        'alone, writes/s': a.writes / a.seconds,
        'grouped, writes/s': g.writes / g.seconds,
        ratio: g.writes / g.seconds / (a.writes / a.seconds),
        'writes per commit': g.writes / g.commits,
      };
    }
    reporter.table('writes to the embedded store', rows);
    await reporter.finish(options.json);
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
  how: { writers: number; seconds: number; oneByOne: boolean },
): Promise<Rate> {
  const before = await store.commitCounts();
  const started = performance.now();
  const goOn = (): boolean => performance.now() - started < how.seconds * 1000;
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
