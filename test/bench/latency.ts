import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerProcess } from '../support/server-process.js';
import { BUNDLED, embeddingCalls, eventLoopMs, readManifest, serveModel } from './bench-server.js';
import { closedLoop, LoadClient, openLoop, type Send } from './load.js';
import { readTarPhotos, SALIENT_PHOTOS } from './photos.js';
import { readOptions } from './read-options.js';
import { Reporter } from './report.js';
import { median, percentile, rateOf } from './statistics.js';

const VERB = {
  name: 'latency',
  purpose:
    'Start to ready with an empty data folder; the peak and the event loop at full load; and how long embeddings take ' +
    'at half of the peak, sent evenly and as if by many independent people.',
  options: {
    model: { value: 'DIR', meaning: 'folder of model.onnx and manifest.json', fallback: BUNDLED },
    photos: { value: 'FILE', meaning: 'tar of JPEGs', fallback: SALIENT_PHOTOS },
    limit: { value: 'N', meaning: 'photos of it', fallback: 64, min: 1, max: 100_000 },
    seconds: { value: 'N', meaning: 'of each load', fallback: 20, min: 0.2, max: 3600 },
    starts: { value: 'N', meaning: 'starts that are timed', fallback: 5, min: 1, max: 100 },
    connections: { value: 'N', meaning: 'requests in progress at full load', fallback: 32, min: 1, max: 128 },
  },
} as const;

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(VERB, args);
  if (options === undefined) return;
  await readManifest(options.model);
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
    const client = new LoadClient(server.url);
    const call = embeddingCalls(photos);
    try {
      await measure(reporter, server.url, () => client.send(call()), options);
    } finally {
      client.close();
    }
  });
  await reporter.finish(options.json);
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

async function measure(
  reporter: Reporter,
  url: string,
  send: Send,
  { seconds, connections }: { seconds: number; connections: number },
): Promise<void> {
  await closedLoop(send, { connections, seconds: 1 });
  await eventLoopMs(url);
  const peak = rateOf(await closedLoop(send, { connections, seconds }));
  const lag = await eventLoopMs(url);
  reporter.table(`full load, ${connections} requests in progress`, {
    'images/s': { value: peak },
    'event-loop delay, p99, ms': { value: lag },
  });
  reporter.goal('eventLoopMs', lag);

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
  reporter.table(`half of it, ${(peak / 2).toFixed(1)} requests/s`, {
    'sent evenly': even,
    'sent at random (Poisson)': await row('poisson'),
  });
  reporter.goal('latencySpread', even['p99 / p50']);
}
