import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { BUNDLED, embeddingCalls, readManifest, serveModel } from './bench-server.js';
import { drawFlames, readProfile, type Frame } from './flame-graph.js';
import { closedLoop, LoadClient } from './load.js';
import { readTarPhotos, SALIENT_PHOTOS } from './photos.js';
import { readOptions } from './read-options.js';
import { Reporter } from './report.js';
import { rateOf } from './statistics.js';

const VERB = {
  name: 'flame',
  purpose:
    "What the service's main thread does at full load of embeddings, as a flame graph. The models run in processes of " +
    'their own, and decoding in threads of sharp: neither is in it.',
  options: {
    model: { value: 'DIR', meaning: 'folder of model.onnx and manifest.json', fallback: BUNDLED },
    photos: { value: 'FILE', meaning: 'tar of JPEGs', fallback: SALIENT_PHOTOS },
    limit: { value: 'N', meaning: 'photos of it', fallback: 64, min: 1, max: 100_000 },
    seconds: { value: 'N', meaning: 'of full load', fallback: 20, min: 0.2, max: 3600 },
    connections: { value: 'N', meaning: 'requests in progress', fallback: 32, min: 1, max: 128 },
    out: { value: 'FILE', meaning: 'the picture', fallback: 'docs/images/flame.svg' },
  },
} as const;

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(VERB, args);
  if (options === undefined) return;
  const { name } = await readManifest(options.model);
  const photos = (await readTarPhotos([options.photos], options.limit)).map(({ jpeg }) => jpeg);
  const reporter = new Reporter('flame', options);
  const root = await mkdtemp(join(tmpdir(), 'dino-bench-'));
  try {
    const profiles = join(root, 'profiles');
    const started = performance.now();
    const server = await serveModel(options.model, join(root, 'data'), {
      nodeOptions: ['--cpu-prof', `--cpu-prof-dir=${profiles}`],
    });
    const client = new LoadClient(server.url);
    const call = embeddingCalls(photos);
    let times: number[];
    try {
      times = await closedLoop(() => client.send(call()), options);
    } finally {
      client.close();
      await server.stop();
    }
    // Threads write profiles of their own: that of the main thread has the HTTP parser's calls.
    const texts = await Promise.all(
      (await readdir(profiles)).map((file) => readFile(join(profiles, file), 'utf8')),
    );
    const main = texts.find((text) => text.includes('parserOnHeadersComplete'));
    if (main === undefined) throw new Error('Node wrote no profile of the main thread');
    const flames = readProfile(main, { from: times[0]! - started, to: times.at(-1)! - started });
    const rate = rateOf(times);
    await mkdir(dirname(options.out), { recursive: true });
    const title = `Main thread of the service at full load, ${name}, ${rate.toFixed(0)} images/s`;
    await writeFile(options.out, drawFlames(flames, title));
    reporter.table('the main thread', {
      idle: { '%': 100 * flames.idle },
      busy: { '%': 100 * (1 - flames.idle), 'ms per image': (1000 * (1 - flames.idle)) / rate },
    });
    reporter.table('where it is busy, without what is called from there', placesOf(flames.root));
    await reporter.finish(options.json);
  } finally {
    await rm(root, { recursive: true });
  }
}

/** The places with most time of their own. */
function placesOf(root: Frame): Record<string, { '% of busy': number }> {
  const times = new Map<string, number>();
  const add = (frame: Frame): void => {
    const key = frame.place || frame.name;
    times.set(key, (times.get(key) ?? 0) + frame.self);
    frame.children.forEach(add);
  };
  add(root);
  const all = [...times.values()].reduce((sum, time) => sum + time, 0);
  const most = [...times].sort((a, b) => b[1] - a[1]).slice(0, 12);
  return Object.fromEntries(most.map(([place, time]) => [place, { '% of busy': (100 * time) / all }]));
}
