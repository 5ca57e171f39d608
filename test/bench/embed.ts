import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BUNDLED, embeddingCalls, readManifest, scrape, serveModel } from './bench-server.js';
import { closedLoop, LoadClient } from './load.js';
import { readTarPhotos, SALIENT_PHOTOS } from './photos.js';
import { measureTree, type TreeUse } from './process-tree.js';
import { readOptions } from './read-options.js';
import { Reporter } from './report.js';
import { RuntimeAlone } from './runtime-alone.js';
import { median, medianRatio, rateOf } from './statistics.js';

const VERB = {
  name: 'embed',
  purpose:
    'JPEG over HTTP to embedding beside ONNX Runtime alone on ready tensors, in turn, A B A B: throughput, where the ' +
    'processor time goes, and the event loop under that load.',
  options: {
    model: { value: 'DIR', meaning: 'folder of model.onnx and manifest.json', fallback: BUNDLED },
    photos: { value: 'FILE', meaning: 'tar of JPEGs', fallback: SALIENT_PHOTOS },
    limit: { value: 'N', meaning: 'photos of it', fallback: 64, min: 1, max: 100_000 },
    seconds: { value: 'N', meaning: 'of each turn', fallback: 10, min: 0.2, max: 3600 },
    rounds: { value: 'N', meaning: 'turns of each', fallback: 3, min: 1, max: 1000 },
    connections: { value: 'N', meaning: 'requests in progress', fallback: 32, min: 1, max: 128 },
  },
} as const;

interface Turn {
  readonly rate: number;
  /** Processor seconds per image. */
  readonly cost: { service: number; model: number; client: number };
}

interface AloneTurn {
  readonly rate: number;
  /** Processor seconds per image. */
  readonly cost: number;
}

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(VERB, args);
  if (options === undefined) return;
  const manifest = await readManifest(options.model);
  const photos = (await readTarPhotos([options.photos], options.limit)).map(({ jpeg }) => jpeg);
  const reporter = new Reporter('embed', options);
  const dataDir = await mkdtemp(join(tmpdir(), 'dino-bench-'));
  // A process of its own: the load must not share its event loop.
  const server = await serveModel(options.model, dataDir);
  const client = new LoadClient(server.url);
  try {
    const alone = await RuntimeAlone.open(options.model, manifest, photos[0]!);
    const call = embeddingCalls(photos);
    const turn = async (): Promise<Turn> => {
      const before = spent(server.pid);
      let sent = 0;
      const send = () => client.send((sent++, call()));
      const times = await closedLoop(send, options);
      const after = spent(server.pid);
      const per = (from: keyof typeof before): number => (after[from] - before[from]) / sent;
      return {
        rate: rateOf(times),
        cost: { service: per('mainSeconds'), model: per('childSeconds'), client: per('client') },
      };
    };
    await closedLoop(() => client.send(call()), { ...options, seconds: 1 });
    await scrape(server.url);
    const [bare, http]: [AloneTurn[], Turn[]] = [[], []];
    for (let round = 0; round < options.rounds; round++) {
      bare.push(await aloneTurn(alone, options.seconds));
      http.push(await turn());
    }
    await report(reporter, { server: server.url, model: manifest.name, batch: alone.batch, bare, http });
    await alone.close();
    await reporter.finish(options.json);
  } finally {
    client.close();
    await server.stop();
    await rm(dataDir, { recursive: true });
  }
}

async function aloneTurn(alone: RuntimeAlone, seconds: number): Promise<AloneTurn> {
  const before = process.cpuUsage();
  const started = performance.now();
  const rate = await alone.rate(seconds);
  const { user, system } = process.cpuUsage(before);
  return { rate, cost: (user + system) / 1e3 / (rate * (performance.now() - started)) };
}

/** In processor seconds. */
function spent(pid: number): TreeUse & { client: number } {
  const { user, system } = process.cpuUsage();
  return { ...measureTree(pid), client: (user + system) / 1e6 };
}

async function report(
  reporter: Reporter,
  results: { server: string; model: string; batch: number; bare: AloneTurn[]; http: Turn[] },
): Promise<void> {
  const { bare, http, model } = results;
  const rates = http.map(({ rate }) => rate);
  const bareRates = bare.map(({ rate }) => rate);
  const metrics = await scrape(results.server);
  reporter.table(`throughput with ${model}`, {
    [`ONNX Runtime alone, ready tensors, batches of ${results.batch}`]: {
      'images/s': median(bareRates),
      ratio: 1,
    },
    'JPEG over HTTP to embedding': { 'images/s': median(rates), ratio: medianRatio(rates, bareRates) },
  });
  const cost = (who: keyof Turn['cost']): number => 1000 * median(http.map((turn) => turn.cost[who]));
  reporter.table('processor time of an image, ms', {
    'ONNX Runtime alone': { ms: 1000 * median(bare.map((turn) => turn.cost)) },
    "over HTTP, the model's processes": { ms: cost('model') },
    'over HTTP, the service: decoding, scaling, HTTP': { ms: cost('service') },
    'over HTTP, the client that makes the load': { ms: cost('client') },
  });
  const count = metrics.dino_inference_batch_size_count!;
  reporter.table('under this load', {
    'event-loop delay, p99, ms': { value: metrics.nodejs_eventloop_lag_p99_seconds! * 1000 },
    'images per batch': { value: metrics.dino_inference_batch_size_sum! / count },
    "time in the model's run per batch, ms": {
      value:
        (1000 * metrics.dino_inference_duration_seconds_sum!) /
        metrics.dino_inference_duration_seconds_count!,
    },
  });
}
