import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerProcess } from '../support/server-process.js';
import { BUNDLED, embeddingCalls, eventLoopMs, readManifest, serveModel } from './bench-server.js';
import { closedLoop, LoadClient, openLoop, type Send } from './load.js';
import { importWeights, makeRandomWeights } from './peer-weights.js';
import { readTarPhotos, SALIENT_PHOTOS } from './photos.js';
import { readOptions } from './read-options.js';
import { Reporter } from './report.js';
import { median, percentile, rateOf } from './statistics.js';

const VERB = {
  name: 'latency',
  purpose:
    'Start to ready with an empty data folder; the peak and the event loop at full load; and how long embeddings take ' +
    'at half of the peak, sent evenly and as if by many independent people: with the model and with a larger one.',
  options: {
    model: { value: 'DIR', meaning: 'folder of model.onnx and manifest.json', fallback: BUNDLED },
    photos: { value: 'FILE', meaning: 'tar of JPEGs', fallback: SALIENT_PHOTOS },
    limit: { value: 'N', meaning: 'photos of it', fallback: 64, min: 1, max: 100_000 },
    seconds: { value: 'N', meaning: 'of each load', fallback: 20, min: 0.2, max: 3600 },
    large: {
      value: 'DIR|no',
      meaning: 'the larger model; no: none (default: a ViT-S/16, random weights)',
      fallback: '',
    },
    python: { value: 'FILE', meaning: 'Python with PyTorch, to make those', fallback: '.venv/bin/python' },
    starts: { value: 'N', meaning: 'starts that are timed', fallback: 5, min: 1, max: 100 },
    connections: { value: 'N', meaning: 'requests in progress at full load', fallback: 32, min: 1, max: 128 },
  },
} as const;

/** A larger model answers fewer requests: its loads last longer by this, so that there is a 99th part of them. */
const LARGE_SECONDS = 3;

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(VERB, args);
  if (options === undefined) return;
  await readManifest(options.model);
  if (options.large !== '' && options.large !== 'no') await readManifest(options.large);
  const photos = (await readTarPhotos([options.photos], options.limit)).map(({ jpeg }) => jpeg);
  const reporter = new Reporter('latency', options);
  const starts: number[] = [];
  for (let start = 1; start < options.starts; start++) {
    await withServer(options.model, async (_, seconds) => void starts.push(seconds));
  }
  await withServer(options.model, async (server, seconds) => {
    starts.push(seconds);
    reporter.table('start to ready, empty data folder', {
      seconds: { median: median(starts), longest: Math.max(...starts), starts: starts.length },
    });
    reporter.goal('startSeconds', median(starts));
    const { eventLoop, spread } = await measure(reporter, server, { ...options, photos, name: 'the model' });
    reporter.goal('eventLoopMs', eventLoop);
    reporter.goal('latencySpreadBundled', spread);
  });
  if (options.large !== 'no') {
    await withLarge(options, (model) =>
      withServer(model, async (server) => {
        const seconds = LARGE_SECONDS * options.seconds;
        const load = { ...options, photos, seconds, name: 'the larger model' };
        reporter.goal('latencySpread', (await measure(reporter, server, load)).spread);
      }),
    );
  }
  await reporter.finish(options.json);
}

/** @param work gets the folder of the larger model */
async function withLarge(
  { large, python }: { large: string; python: string },
  work: (model: string) => Promise<void>,
): Promise<void> {
  if (large !== '') return work(large);
  const root = await mkdtemp(join(tmpdir(), 'dino-bench-'));
  try {
    const weights = await makeRandomWeights(python, root);
    const made = { precision: 'fp32', dataDir: join(root, 'data'), name: 'vits16' } as const;
    await work(await importWeights(weights, made));
  } finally {
    await rm(root, { recursive: true });
  }
}

/** @param work gets the seconds from starting the process to its being ready */
async function withServer(
  model: string,
  work: (server: ServerProcess, seconds: number) => Promise<void>,
): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'dino-bench-'));
  const started = performance.now();
  const server = await serveModel(model, dataDir);
  const seconds = (performance.now() - started) / 1000;
  try {
    await work(server, seconds);
  } finally {
    await server.stop();
    await rm(dataDir, { recursive: true });
  }
}

/** @returns p99 of the event loop's delay at full load, in ms; and p99 over p50 of what is sent evenly at half of it */
async function measure(
  reporter: Reporter,
  { url }: ServerProcess,
  load: { photos: readonly Buffer[]; seconds: number; connections: number; name: string },
): Promise<{ eventLoop: number; spread: number }> {
  const client = new LoadClient(url);
  const call = embeddingCalls(load.photos);
  try {
    return await measureLoads(reporter, url, () => client.send(call()), load);
  } finally {
    client.close();
  }
}

async function measureLoads(
  reporter: Reporter,
  url: string,
  send: Send,
  { seconds, connections, name }: { seconds: number; connections: number; name: string },
): Promise<{ eventLoop: number; spread: number }> {
  await closedLoop(send, { connections, seconds: 1 });
  await eventLoopMs(url);
  const peak = rateOf(await closedLoop(send, { connections, seconds }));
  const eventLoop = await eventLoopMs(url);
  reporter.table(`${name}, full load, ${connections} requests in progress`, {
    'images/s': { value: peak },
    'event-loop delay, p99, ms': { value: eventLoop },
  });

  const row = async (arrivals: 'even' | 'poisson') => {
    const waits = await openLoop(send, { perSecond: peak / 2, seconds, arrivals });
    const [p50, p90, p99] = [0.5, 0.9, 0.99].map((share) => percentile(waits, share)) as [
      number,
      number,
      number,
    ];
    return { requests: waits.length, 'p50, ms': p50, 'p90, ms': p90, 'p99, ms': p99, 'p99 / p50': p99 / p50 };
  };
  const even = await row('even');
  reporter.table(`${name}, half of it, ${(peak / 2).toFixed(1)} requests/s`, {
    'sent evenly': even,
    'sent at random (Poisson)': await row('poisson'),
  });
  return { eventLoop, spread: even['p99 / p50'] };
}
