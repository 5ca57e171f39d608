import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { compose } from '#dino/composition.js';
import { loadConfig } from '#dino/config.js';
import type { LoadReport, LoadTask } from './stalls-client.js';

const USAGE = `Usage: npm run bench -- stalls [options]
How long the event loop of the service stands still under masks and correspondences, asked for by another process.
  --data FILE      tar of JPEG photos (default ../shared/data/ecssd-dev.tar)
  --requests N     of each kind (default 24)
  --at-once N      requests in progress (default 4)
  --only TEXT      kinds whose name has it
  --scale F        enlarges the photos by this (default 1)`;

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
  const { values } = parseArgs({
    args,
    options: {
      data: { type: 'string', default: '../shared/data/ecssd-dev.tar' },
      requests: { type: 'string', default: '24' },
      'at-once': { type: 'string', default: '4' },
      scale: { type: 'string', default: '1' },
      only: { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help || !existsSync(values.data)) {
    console.log(values.help ? USAGE : `There are no photos at ${values.data}.\n${USAGE}`);
    process.exitCode = values.help ? 0 : 1;
    return;
  }
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
  console.log(
    'milliseconds for which the event loop stood still: longest, 99 %, mean; what the requests took',
  );
  try {
    const idle = await watched(() => new Promise((resolve) => setTimeout(resolve, 3000)));
    console.log(line('nothing', idle.histogram));
    for (const [name, { path, images = 1, accept }] of Object.entries(KINDS)) {
      if (!name.includes(values.only)) continue;
      const task = {
        url: `http://127.0.0.1:${port}/v1/${path}`,
        data: values.data,
        scale: Number(values.scale),
        images,
        ...(accept !== undefined && { accept }),
        atOnce: Number(values['at-once']),
      };
      // The first of a kind compiles code and starts threads.
      await ask({ ...task, requests: 2 });
      const { histogram, result } = await watched(() => ask({ ...task, requests: Number(values.requests) }));
      console.log(`${line(name, histogram)}   ${result.meanMs.toFixed(0)} ms a request`);
    }
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

function line(name: string, histogram: IntervalHistogram): string {
  const ms = [histogram.max, histogram.percentile(99), histogram.mean].map((value) =>
    (value / 1e6).toFixed(1).padStart(8),
  );
  return `  ${name.padEnd(42)} ${ms.join(' ')}`;
}
