import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import { compose } from '#dino/composition.js';
import { loadConfig } from '#dino/config.js';
import { readTarPhotos, SALIENT_PHOTOS } from './photos.js';
import { readOptions, UsageError } from './read-options.js';
import { Reporter, type Table } from './report.js';
import type { LoadReport, LoadTask } from './stalls-client.js';

const VERB = {
  name: 'stalls',
  purpose:
    'How long the event loop of the service stands still under attention, masks and correspondences, asked for by another process.',
  options: {
    photos: { value: 'FILE', meaning: 'tar of JPEGs, of which 16 are taken', fallback: SALIENT_PHOTOS },
    requests: { value: 'N', meaning: 'of each kind', fallback: 24, min: 1, max: 1e6 },
    'at-once': { value: 'N', meaning: 'requests in progress', fallback: 4, min: 1, max: 128 },
    only: { value: 'TEXT', meaning: 'kinds whose name has it', fallback: '' },
    scale: { value: 'F', meaning: 'enlarges the photos by this', fallback: 1, min: 0.1, max: 20 },
    seconds: { value: 'N', meaning: 'with nothing to do, at first', fallback: 3, min: 1, max: 3600 },
  },
} as const;

/** Path with options, and whether it takes two photos. */
const KINDS: Record<string, { path: string; images?: number; accept?: string }> = {
  'attention, numbers': { path: 'attention' },
  'attention, rollout': { path: 'attention?rollout=true' },
  'attention, overlay of all heads': { path: 'attention?overlay=true', accept: 'image/png' },
  'masks: attention, all heads, rle': { path: 'masks?head=all' },
  'masks: tokencut, rle': { path: 'masks?method=tokencut' },
  'masks: lost, polygon': { path: 'masks?method=lost&format=polygon' },
  'masks: maskcut, png': { path: 'masks?method=maskcut&format=png' },
  'masks: deep-spectral, coco': { path: 'masks?method=deep-spectral&format=coco' },
  'masks: deep-spectral, refined, rle': { path: 'masks?method=deep-spectral&refine=bilateral' },
  'masks: deep-spectral, refined, polygon': {
    path: 'masks?method=deep-spectral&refine=bilateral&format=polygon',
  },
  'masks: deep-spectral, refined, png': { path: 'masks?method=deep-spectral&refine=bilateral&format=png' },
  'masks: tokencut, overlay': { path: 'masks?method=tokencut&picture=overlay', accept: 'image/png' },
  'masks: tokencut, refined, cut-out': {
    path: 'masks?method=tokencut&refine=bilateral&picture=cutout',
    accept: 'image/png',
  },
  correspondences: { path: 'correspondences?maxPairs=4096', images: 2 },
  'correspondences, binned': { path: 'correspondences?binned=true', images: 2 },
  'correspondences, picture': { path: 'correspondences', images: 2, accept: 'image/png' },
  cosegmentation: { path: 'cosegmentation?saliency=0', images: 4 },
};

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(VERB, args);
  if (options === undefined) return;
  const { requests, scale, seconds } = options;
  const kinds = Object.entries(KINDS).filter(([name]) => name.includes(options.only));
  if (kinds.length === 0)
    throw new UsageError(`--only is ${options.only}, but the kinds are ${Object.keys(KINDS).join('; ')}`);
  await readTarPhotos([options.photos], 1);
  const reporter = new Reporter('stalls', options);
  const dataDir = await mkdtemp(join(tmpdir(), 'dino-stalls-'));
  const service = await compose(loadConfig({}, { dataDir, logLevel: 'silent' }));
  const server = createServer(service.app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = fork(new URL('./stalls-client.ts', import.meta.url), { execArgv: process.execArgv });
  const ended = once(client, 'exit').then(() => {
    throw new Error('the process that asks has ended');
  });
  ended.catch(() => undefined);
  const ask = async (task: LoadTask) => {
    const answered = once(client, 'message');
    client.send(task);
    const [report] = (await Promise.race([answered, ended])) as [LoadReport];
    return report;
  };
  try {
    const idle = await watched(() => new Promise((resolve) => setTimeout(resolve, seconds * 1000)));
    const rows: Table = { nothing: stillFor(idle.histogram) };
    for (const [name, { path, images = 1, accept }] of kinds) {
      console.log(name);
      const task = {
        url: `http://127.0.0.1:${port}/v1/${path}`,
        photos: options.photos,
        scale,
        images,
        ...(accept !== undefined && { accept }),
        atOnce: options['at-once'],
      };
      // The first of a kind compiles code and starts threads.
      await ask({ ...task, requests: 2 });
      const { histogram, result } = await watched(() => ask({ ...task, requests }));
      rows[name] = { ...stillFor(histogram), 'a request, ms': result.meanMs };
    }
    reporter.table('how long the event loop stood still', rows);
    await reporter.finish(options.json);
  } finally {
    client.disconnect();
    server.close();
    await service.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function watched<T>(work: () => Promise<T>): Promise<{ histogram: IntervalHistogram; result: T }> {
  const histogram = monitorEventLoopDelay({ resolution: 5 });
  histogram.enable();
  const result = await work();
  histogram.disable();
  return { histogram, result };
}

function stillFor(histogram: IntervalHistogram): Table[string] {
  return {
    'longest, ms': histogram.max / 1e6,
    'p99, ms': histogram.percentile(99) / 1e6,
    'mean, ms': histogram.mean / 1e6,
  };
}
