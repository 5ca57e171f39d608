import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import autocannon from 'autocannon';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { createImageReader } from '#dino/vision/image-reader.js';
import { drawScenes } from '../support/drawn-scenes.js';
import { spawnServer } from '../support/server-process.js';

const SECONDS = 10;
const ROUNDS = 2;
const CONNECTIONS = 32;
const BATCH = 8;

/**
 * Throughput of embeddings over HTTP against ONNX Runtime alone on ready tensors, in turn, A B A B; and the delay
 * of the server's event loop while it is at full load, as `/metrics` shows it. The photos are 500 x 333 px JPEGs
 * that the project draws; give a model's folder to measure another than the bundled one.
 */
export async function run(args: string[]): Promise<void> {
  const folder = args[0] ?? new URL('../../models/dino-vitt16-photos', import.meta.url).pathname;
  const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
  const scenes = await drawScenes({ perClass: 4, width: 500, height: 333 });
  const dataDir = await mkdtemp(join(tmpdir(), 'dino-bench-'));
  // A process of its own: the load must not share its event loop.
  const server = await spawnServer({ dataDir });
  try {
    const alone = await prepareAlone(
      join(folder, manifest.file.path),
      manifest.preprocessing,
      scenes[0]!.bytes,
    );
    const http: number[] = [];
    const bare: number[] = [];
    await scrape(server.url);
    for (let round = 0; round < ROUNDS; round++) {
      bare.push(await alone());
      http.push(
        await overHttp(
          server.url,
          scenes.map(({ bytes }) => bytes),
        ),
      );
    }
    const metrics = await scrape(server.url);
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    console.log(
      `machine: ${cpus()[0]!.model.trim()}, ${availableParallelism()} cores; model: ${manifest.name} at ${manifest.preprocessing.crop} px`,
    );
    console.table({
      'ONNX Runtime alone, ready tensors': { 'images/s': round(mean(bare)), ratio: 1 },
      'JPEG over HTTP to embedding': { 'images/s': round(mean(http)), ratio: round(mean(http) / mean(bare)) },
    });
    console.log(
      `event-loop delay of the whole process under load, p99: ${round(Number(metrics.nodejs_eventloop_lag_p99_seconds) * 1000)} ms`,
    );
    console.log(
      `images per batch: ${round(Number(metrics.dino_inference_batch_size_sum) / Number(metrics.dino_inference_batch_size_count))}`,
    );
  } finally {
    await server.stop();
    await rm(dataDir, { recursive: true });
  }
}

const round = (value: number) => Math.round(value * 1000) / 1000;

/** Runs the model in batches on one decoded image for a while. @returns images per second */
async function prepareAlone(
  modelPath: string,
  preprocessing: { resize: number; crop: number },
  photo: Buffer,
): Promise<() => Promise<number>> {
  const session = await InferenceSession.create(modelPath, {
    intraOpNumThreads: availableParallelism(),
    interOpNumThreads: 1,
  });
  const reader = createImageReader({ maxPixels: 50_000_000, timeoutSeconds: 20, preprocessing: 'exact' });
  const { pixels } = await reader.forEmbedding(photo, preprocessing);
  const batch = new Uint8Array(BATCH * pixels.data.length);
  for (let i = 0; i < BATCH; i++) batch.set(pixels.data, i * pixels.data.length);
  const feeds = { pixels: new Tensor('uint8', batch, [BATCH, pixels.height, pixels.width, 3]) };
  return async () => {
    const started = performance.now();
    let images = 0;
    while (performance.now() - started < SECONDS * 1000) {
      await session.run(feeds, ['embedding']);
      images += BATCH;
    }
    return images / ((performance.now() - started) / 1000);
  };
}

/** @returns images per second that were answered 200 */
async function overHttp(url: string, photos: Buffer[]): Promise<number> {
  const result = await autocannon({
    url: `${url}/v1/embeddings?encoding_format=base64`,
    connections: CONNECTIONS,
    duration: SECONDS,
    requests: photos.map((body) => ({
      method: 'POST' as const,
      headers: { 'content-type': 'image/jpeg' },
      body,
    })),
  });
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${result.non2xx} answers other than 2xx, ${result.errors} errors`);
  return result['2xx'] / result.duration;
}

async function scrape(url: string): Promise<Record<string, string>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Object.fromEntries(
    text
      .split('\n')
      .flatMap((line) => (/^[a-z0-9_]+ /.test(line) ? [line.split(' ') as [string, string]] : [])),
  );
}
