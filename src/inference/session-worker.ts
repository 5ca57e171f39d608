/**
 * The main module of a model's process: it opens one model, runs batches on it, and ends when the service's end of
 * the channel closes, however that came about.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type {
  BatchAnswer,
  BatchTask,
  SessionReply,
  SessionRequest,
  SessionSettings,
} from './session-messages.js';

let session: InferenceSession | undefined;

async function open({ modelPath, threads, providers }: SessionSettings): Promise<void> {
  session = await InferenceSession.create(modelPath, {
    executionProviders: [...providers],
    // Taken from the host by default, which is wrong under cgroups (onnxruntime#8313).
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
  });
}

/** `session.run` blocks the thread it is called on (onnxruntime#19611); here nobody else needs it. */
async function run({ height, width, images, names }: BatchTask): Promise<BatchAnswer> {
  if (session === undefined) throw new Error('no model is open');
  const pixels = new Uint8Array(images.length * height * width * 3);
  images.forEach((image, i) => pixels.set(image, i * height * width * 3));
  const started = performance.now();
  const results = await session.run(
    { pixels: new Tensor('uint8', pixels, [images.length, height, width, 3]) },
    [...names],
  );
  const seconds = (performance.now() - started) / 1000;
  const outputs = Object.fromEntries(names.map((name) => [name, results[name]!.data as Float32Array]));
  return { outputs, seconds, memoryBytes: process.memoryUsage.rss() };
}

async function reply(request: SessionRequest): Promise<SessionReply> {
  try {
    if ('run' in request) return { answer: await run(request.run) };
    await open(request.open);
    return { opened: true };
  } catch (error) {
    return { failure: (error as Error).message };
  }
}

process.on('message', (request: SessionRequest) => {
  void reply(request).then((answer) => process.send!(answer));
});
process.on('disconnect', () => process.exit());
// A terminal and a service manager signal the whole group; the service finishes its work first and then ends this.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
