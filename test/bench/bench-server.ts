import { readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { manifestSchema, type Manifest } from '#dino/models/manifest.js';
import { spawnServer, type ServerProcess } from '../support/server-process.js';
import type { Call } from './load.js';
import { asNewFile } from './photos.js';
import { UsageError } from './read-options.js';

/** The folder of the model that the service brings along. */
export const BUNDLED = 'models/dino-vitmicro16-photos';

/** @throws UsageError when the folder holds no model */
export async function readManifest(folder: string): Promise<Manifest> {
  try {
    return manifestSchema.parse(JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')));
  } catch (cause) {
    throw new UsageError(`there is no model at ${folder}: ${(cause as Error).message}`);
  }
}

/** A server of its own process, set up as a user's, whose default model is the one in the folder. */
export async function serveModel(
  folder: string,
  dataDir: string,
  options: { nodeOptions?: readonly string[] } = {},
): Promise<ServerProcess> {
  const path = resolve(folder);
  return spawnServer({
    dataDir,
    environment: {
      DINO_MODELS_DIR: dirname(path),
      DINO_MODEL: basename(path),
      DINO_INFERENCE_WORKERS: '0',
    },
    ...options,
  });
}

/** Asks for the embeddings of photos, one after another and over again, each as a file of its own. */
export function embeddingCalls(photos: readonly Buffer[]): () => Call {
  let next = 0;
  return () => ({
    method: 'POST',
    path: '/v1/embeddings?encoding_format=base64',
    type: 'image/jpeg',
    body: asNewFile(photos[next++ % photos.length]!),
  });
}

/** The vector in an answer to such a call. */
export function vectorOf(answer: Buffer): Float32Array {
  const { data } = JSON.parse(answer.toString()) as { data: { embedding: string }[] };
  const bytes = Buffer.from(data[0]!.embedding, 'base64');
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

/** The metrics without labels, by name. Reading them begins a new window of the event-loop delay. */
export async function scrape(url: string): Promise<Record<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const plain = text.split('\n').filter((line) => /^[a-z0-9_]+ /.test(line));
  return Object.fromEntries(
    plain.map((line) => {
      const [name, value] = line.split(' ');
      return [name!, Number(value)];
    }),
  );
}

/** p99 of the event-loop delay since the last scrape. prom-client's timer of 5 ms is in it. */
export async function eventLoopMs(url: string): Promise<number> {
  return (await scrape(url)).nodejs_eventloop_lag_p99_seconds! * 1000;
}
