/**
 * The main module of a model's process: it opens one model, runs batches on it, and ends when the service's end of
 * the channel closes, however that came about.
 */
import { dirname } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { CheckpointError } from '../models/checkpoints/checkpoint-error.js';
import { embeddingGraph } from './embedding-graph.js';
import type { AskedFeature } from './features.js';
import type {
  BatchAnswer,
  BatchTask,
  SessionReply,
  SessionRequest,
  SessionSettings,
} from './session-messages.js';

type Outputs = Partial<Record<AskedFeature, Float32Array>>;

let settings: SessionSettings | undefined;
/** For embeddings of the model's own size alone. */
let embeddingSession: InferenceSession | undefined;
/** Each of these is opened by the first batch that asks for it: it holds the weights once more. */
let wholeSession: InferenceSession | undefined;
let rolloutSession: InferenceSession | undefined;

function optionsOf({ providers, threads, modelPath }: SessionSettings): InferenceSession.SessionOptions {
  return {
    executionProviders: [...providers],
    // Taken from the host by default, which is wrong under cgroups (onnxruntime#8313).
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    // For a model that comes as bytes: where its weights are if they lie in a file of their own.
    extra: { session: { model_external_initializers_file_folder_path: dirname(modelPath) } },
  };
}

async function open(asked: SessionSettings): Promise<void> {
  settings = asked;
  embeddingSession = await openEmbeddings(asked);
  if (embeddingSession === undefined) wholeSession = await openWhole(asked);
}

/** What goes wrong here is told by the opening of the file itself, or is no fault of the file. */
async function openEmbeddings(settings: SessionSettings): Promise<InferenceSession | undefined> {
  try {
    const graph = await embeddingGraph(settings);
    return graph && (await InferenceSession.create(graph, optionsOf(settings)));
  } catch {
    return undefined;
  }
}

function openWhole(settings: SessionSettings): Promise<InferenceSession> {
  return InferenceSession.create(settings.modelPath, optionsOf(settings));
}

async function openRollout(settings: SessionSettings): Promise<InferenceSession> {
  // Most models are never asked for it: what reads and writes ONNX files is loaded with the first that is.
  const { rolloutModel } = await import('../models/onnx/surgery/rollout-model.js');
  return InferenceSession.create(await rolloutModel(settings.modelPath, settings), optionsOf(settings));
}

async function sessionFor({ height, width, names }: BatchTask): Promise<InferenceSession> {
  if (settings === undefined) throw new Error('no model is open');
  if (names.includes('rollout')) return (rolloutSession ??= await openRollout(settings));
  const side = settings.embeddings?.side;
  const isOwn = height === side && width === side && names.every((name) => name === 'embedding');
  if (isOwn && embeddingSession !== undefined) return embeddingSession;
  return (wholeSession ??= await openWhole(settings));
}

async function run(task: BatchTask): Promise<BatchAnswer> {
  const { height, width, images, names } = task;
  const session = await sessionFor(task);
  const isRollout = names.includes('rollout');
  // It keeps the attention of all blocks until the last: that of one image is enough.
  const atOnce = isRollout ? 1 : images.length;
  const started = performance.now();
  const answers: Outputs[] = [];
  for (let at = 0; at < images.length; at += atOnce) {
    const some = images.slice(at, at + atOnce);
    answers.push(await runOnce(session, { height, width, images: some, names }));
  }
  const seconds = (performance.now() - started) / 1000;
  const outputs = answers.length === 1 ? answers[0]! : joined(answers, names);
  return { outputs, seconds, memoryBytes: process.memoryUsage.rss() };
}

/** `session.run` blocks the thread it is called on (onnxruntime#19611); here nobody else needs it. */
async function runOnce(
  session: InferenceSession,
  { height, width, images, names }: BatchTask,
): Promise<Outputs> {
  const pixels = new Uint8Array(images.length * height * width * 3);
  images.forEach((image, i) => pixels.set(image, i * height * width * 3));
  const inGraph = (name: AskedFeature) => (name === 'rollout' ? 'dino_rollout' : name);
  const results = await session.run(
    { pixels: new Tensor('uint8', pixels, [images.length, height, width, 3]) },
    names.map(inGraph),
  );
  return Object.fromEntries(names.map((name) => [name, results[inGraph(name)]!.data as Float32Array]));
}

function joined(answers: readonly Outputs[], names: readonly AskedFeature[]): Outputs {
  const join = (parts: readonly Float32Array[]) => {
    const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
    parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
    return whole;
  };
  return Object.fromEntries(names.map((name) => [name, join(answers.map((answer) => answer[name]!))]));
}

async function reply(request: SessionRequest): Promise<SessionReply> {
  try {
    if ('run' in request) return { answer: await run(request.run) };
    await open(request.open);
    return { opened: true };
  } catch (error) {
    const failure = (error as Error).message;
    return error instanceof CheckpointError ? { failure, isRefusal: true } : { failure };
  }
}

process.on('message', (request: SessionRequest) => {
  // A service that has gone meanwhile needs no answer, and nobody a stack of it: the channel's end ends this process.
  void reply(request).then((answer) => process.send!(answer, undefined, undefined, () => undefined));
});
process.on('disconnect', () => process.exit());
// A terminal and a service manager signal the whole group; the service finishes its work first and then ends this.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
