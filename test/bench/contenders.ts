import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { embeddingCalls, readManifest, serveModel, vectorOf } from './bench-server.js';
import { closedLoop, LoadClient, type Call } from './load.js';
import { asNewFile } from './photos.js';
import { RuntimeAlone } from './runtime-alone.js';
import { rateOf } from './statistics.js';

/** One that turns photos into embeddings; idle while it is not asked. */
export interface Contender {
  readonly name: string;
  /** @returns images per second at full load */
  rate(seconds: number): Promise<number>;
  /** Absent where there is nothing but ready tensors. */
  embed?(photos: readonly Buffer[]): Promise<Float32Array[]>;
  close(): Promise<void>;
}

const peerFile = (name: string): string => fileURLToPath(new URL(`peers/${name}`, import.meta.url));

/** @param called what the graph is, in the contender's name; default: the file as exported */
export async function startRuntime(folder: string, photo: Buffer, called?: string): Promise<Contender> {
  const graph = called === undefined ? 'exported' : 'embeddings';
  const alone = await RuntimeAlone.open(folder, await readManifest(folder), photo, graph);
  const what = called === undefined ? '' : `, ${called}`;
  return {
    name: `ONNX Runtime alone${what}, ready tensors, batches of ${alone.batch}`,
    rate: (seconds) => alone.rate(seconds),
    close: () => alone.close(),
  };
}

/** The service with one model. */
export async function startService(options: {
  name: string;
  folder: string;
  dataDir: string;
  photos: readonly Buffer[];
  connections: number;
}): Promise<Contender> {
  const { name, folder, dataDir, photos, connections } = options;
  await mkdir(dataDir, { recursive: true });
  const server = await serveModel(folder, dataDir);
  const calls = (some: readonly Buffer[]) => embeddingCalls(some);
  return overHttp({ name, url: server.url, photos, connections, calls, vectorOf, end: () => server.stop() });
}

/** @param options.weights folder in the layout of transformers */
export async function startPyTorch(options: {
  python: string;
  weights: string;
  photos: readonly Buffer[];
  connections: number;
}): Promise<Contender> {
  const { python, weights, photos, connections } = options;
  const child = spawn(python, ['-W', 'ignore', peerFile('torch-server.py'), weights], {
    env: { ...process.env, HF_HUB_OFFLINE: '1', TRANSFORMERS_VERBOSITY: 'error' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const url = await readyUrl(child);
  const calls = (some: readonly Buffer[]) => {
    let next = 0;
    return (): Call => ({
      method: 'POST',
      path: '/embed',
      type: 'image/jpeg',
      body: asNewFile(some[next++ % some.length]!),
    });
  };
  const read = (body: Buffer) =>
    Float32Array.from((JSON.parse(body.toString()) as { embedding: number[] }).embedding);
  const name = 'PyTorch, FastAPI and Uvicorn, JPEG over HTTP';
  return overHttp({ name, url, photos, connections, calls, vectorOf: read, end: () => endProcess(child) });
}

/** transformers.js in a process of its own; of batches of 1 and 8 images the faster counts. */
export async function startTransformersJs(options: {
  packages: string;
  model: string;
  folder: string;
  photos: readonly Buffer[];
}): Promise<Contender> {
  const { packages, model, folder, photos } = options;
  const write = async (some: readonly Buffer[], under: string): Promise<string[]> => {
    await mkdir(join(folder, under), { recursive: true });
    const paths = some.map((_, i) => join(folder, under, `${i}.jpg`));
    await Promise.all(some.map((photo, i) => writeFile(paths[i]!, photo)));
    return paths;
  };
  const files = await write(photos, 'photos');
  const child = fork(peerFile('transformers-js.js'), [packages, model], { execArgv: [] });
  await once(child, 'message');
  const ask = async <T>(task: object): Promise<T> => {
    child.send(task);
    const [answer] = (await once(child, 'message')) as [T];
    return answer;
  };
  const rate = async (batch: number, seconds: number): Promise<number> =>
    (await ask<{ rate: number }>({ files, batch, seconds })).rate;
  const [one, eight] = [await rate(1, 2), await rate(8, 2)];
  const batch = one > eight ? 1 : 8;
  return {
    name: `transformers.js, JPEG files, batches of ${batch}`,
    rate: (seconds) => rate(batch, seconds),
    async embed(some) {
      const { vectors } = await ask<{ vectors: number[][] }>({ embed: await write(some, 'asked') });
      return vectors.map((vector) => Float32Array.from(vector));
    },
    close: () => endProcess(child),
  };
}

function overHttp(parts: {
  name: string;
  url: string;
  photos: readonly Buffer[];
  connections: number;
  calls: (photos: readonly Buffer[]) => () => Call;
  vectorOf: (body: Buffer) => Float32Array;
  end: () => Promise<unknown>;
}): Contender {
  const client = new LoadClient(parts.url);
  const call = parts.calls(parts.photos);
  return {
    name: parts.name,
    rate: async (seconds) =>
      rateOf(await closedLoop(() => client.send(call()), { ...parts, seconds, warmUpSeconds: 2 })),
    async embed(photos) {
      const next = parts.calls(photos);
      const vectors: Float32Array[] = [];
      for (let i = 0; i < photos.length; i++) vectors.push(parts.vectorOf((await client.send(next())).body));
      return vectors;
    },
    async close() {
      client.close();
      await parts.end();
    },
  };
}

async function readyUrl(child: ChildProcess): Promise<string> {
  for await (const line of createInterface(child.stdout!)) {
    const ready = /^ready (\S+)$/.exec(line);
    if (ready !== null) return ready[1]!;
  }
  throw new Error('the server of PyTorch ended before it was ready');
}

async function endProcess(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill();
  await ended;
}
