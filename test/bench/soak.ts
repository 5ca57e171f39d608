import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SingleBar } from 'cli-progress';
import { BUNDLED, eventLoopMs, readManifest, serveModel } from './bench-server.js';
import { LoadClient } from './load.js';
import { readTarPhotos, SALIENT_PHOTOS } from './photos.js';
import { measureTree, type TreeUse } from './process-tree.js';
import { readOptions } from './read-options.js';
import { Reporter, type Table } from './report.js';
import { createWorkers, type Worker } from './soak-work.js';
import { median, percentile } from './statistics.js';

const VERB = {
  name: 'soak',
  purpose:
    'Full load of embeddings, searches, masks, new images and deletions at once: what the service and its processes ' +
    'hold in memory after a minute and at the end.',
  options: {
    minutes: { value: 'N', meaning: 'of full load', fallback: 60, min: 0.05, max: 10_000 },
    model: { value: 'DIR', meaning: 'folder of model.onnx and manifest.json', fallback: BUNDLED },
    photos: { value: 'FILE', meaning: 'tar of JPEGs', fallback: SALIENT_PHOTOS },
    limit: { value: 'N', meaning: 'photos of it', fallback: 64, min: 1, max: 100_000 },
    connections: { value: 'N', meaning: 'requests in progress', fallback: 24, min: 5, max: 128 },
  },
} as const;

/** After so long, or a tenth of a shorter run, everything has been used once and caches are filled. */
const SETTLED_MINUTES = 1;
/** Memory swings with what is in progress: a figure is the median over a twentieth of the run, at most a minute. */
const WINDOW_MINUTES = 1;

interface Sample {
  readonly minutes: number;
  readonly bytes: number;
}

interface Growth {
  readonly early: number;
  readonly late: number;
}

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(VERB, args);
  if (options === undefined) return;
  await readManifest(options.model);
  const photos = (await readTarPhotos([options.photos], options.limit)).map(({ jpeg }) => jpeg);
  const reporter = new Reporter('soak', options);
  const dataDir = await mkdtemp(join(tmpdir(), 'dino-bench-'));
  const server = await serveModel(options.model, dataDir);
  const client = new LoadClient(server.url);
  try {
    const workers = await createWorkers(client, photos, options.connections);
    const samples: (TreeUse & Sample)[] = [];
    const started = performance.now();
    const minutes = (): number => (performance.now() - started) / 60_000;
    const bar = new SingleBar({
      format: '{value}/{total} min, {rate} requests/s, {mb} MB',
      clearOnComplete: true,
    });
    bar.start(options.minutes, 0, { rate: 0, mb: 0 });
    const timer = setInterval(() => {
      samples.push({ minutes: minutes(), ...measureTree(server.pid) });
      const sent = workers.reduce((sum, { times }) => sum + times.length, 0);
      bar.update(Math.round(minutes() * 100) / 100, {
        rate: (sent / minutes() / 60).toFixed(1),
        mb: Math.round(samples.at(-1)!.bytes / 1e6),
      });
    }, sampleEveryMs(options.minutes));
    try {
      await Promise.all(workers.map((worker) => keepBusy(worker, () => minutes() < options.minutes)));
    } finally {
      clearInterval(timer);
      bar.stop();
    }
    const growth = growthOf(samples, options.minutes);
    const partOf = (bytes: (use: TreeUse) => number): Growth =>
      growthOf(
        samples.map((sample) => ({ minutes: sample.minutes, bytes: bytes(sample) })),
        options.minutes,
      );
    reporter.table('requests', requestTable(workers, options.minutes));
    reporter.table(`memory, MB, ${options.minutes} minutes`, {
      'the service and its processes': {
        ...describe(growth),
        'at most': Math.max(...samples.map(({ bytes }) => bytes)) / 1e6,
      },
      'the service': describe(partOf(({ mainBytes }) => mainBytes)),
      "the models' processes": describe(partOf(({ bytes, mainBytes }) => bytes - mainBytes)),
      'both without files': describe(partOf(({ anonymousBytes }) => anonymousBytes)),
    });
    reporter.table('event loop', { 'delay, p99, ms': { value: await eventLoopMs(server.url) } });
    // A short run tells nothing about an hour.
    if (options.minutes >= 60) reporter.goal('memoryGrowth', growth.late / growth.early);
    await reporter.finish(options.json);
  } finally {
    client.close();
    await server.stop();
    await rm(dataDir, { recursive: true });
  }
}

/** Several samples fall into a window however short the run is. */
function sampleEveryMs(minutes: number): number {
  return Math.min(500, minutes * 1000);
}

async function keepBusy(worker: Worker, goesOn: () => boolean): Promise<void> {
  while (goesOn()) {
    const started = performance.now();
    await worker.work();
    worker.times.push(performance.now() - started);
  }
}

/**
 * Memory when everything has been used once, and at the end: medians over a window each.
 *
 * @param minutes length of the run
 */
export function growthOf(samples: readonly Sample[], minutes: number): Growth {
  const settled = Math.min(SETTLED_MINUTES, minutes / 10);
  const window = Math.min(WINDOW_MINUTES, minutes / 20);
  const between = (from: number, to: number): number => {
    const within = samples.filter(({ minutes: at }) => at >= from && at <= to);
    if (within.length === 0) throw new Error('the run was too short to tell how memory grew');
    return median(within.map(({ bytes }) => bytes));
  };
  return { early: between(settled, settled + window), late: between(minutes - window, Infinity) };
}

function describe({ early, late }: Growth) {
  return { 'after the first minute': early / 1e6, 'at the end': late / 1e6, ratio: late / early };
}

function requestTable(workers: readonly Worker[], minutes: number): Table {
  const kinds = new Map<string, number[]>();
  for (const { kind, times } of workers) {
    const all = kinds.get(kind) ?? [];
    kinds.set(kind, all);
    for (const time of times) all.push(time);
  }
  return Object.fromEntries(
    [...kinds]
      .filter(([, times]) => times.length > 0)
      .map(([kind, times]) => [
        kind,
        {
          requests: times.length,
          'per second': times.length / minutes / 60,
          'p50, ms': percentile(times, 0.5),
          'p99, ms': percentile(times, 0.99),
        },
      ]),
  );
}
