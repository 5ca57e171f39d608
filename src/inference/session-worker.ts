/**
 * The main module of a model's process: it opens one model, runs batches on it, and ends when the service's end of
 * the socket closes, however that came about. It waits for requests by blocking reads: there is nothing else to do.
 */
import { dirname } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { CheckpointError } from '../models/checkpoints/checkpoint-error.js';
import { embeddingGraph } from './embedding-graph.js';
import type { AskedFeature } from './features.js';
import { isGone, PayloadRoom, readFrame, writeFrame } from './frames.js';
import {
  SOCKET_FD,
  type BatchTask,
  type SessionReply,
  type SessionRequest,
  type SessionSettings,
} from './session-messages.js';

type Pixels = Uint8Array<ArrayBuffer>;

/** The whole batch per feature, in the order asked for; first axis = image. */
type Outputs = readonly Float32Array[];

interface Answer {
  readonly reply: SessionReply;
  readonly outputs: Outputs;
}

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
    extra: {
      session: {
        // For a model that comes as bytes: where its weights are if they lie in a file of their own.
        model_external_initializers_file_folder_path: dirname(modelPath),
        // Threads that spin while they wait take the cores from decoding (docs/performance.md).
        intra_op: { allow_spinning: '0' },
      },
    },
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

async function run(task: BatchTask, pixels: Pixels): Promise<Answer> {
  const { count, names } = task;
  const session = await sessionFor(task);
  const isRollout = names.includes('rollout');
  // It keeps the attention of all blocks until the last: that of one image is enough.
  const atOnce = isRollout ? 1 : count;
  const imageBytes = pixels.length / count;
  const started = performance.now();
  const answers: Outputs[] = [];
  for (let at = 0; at < count; at += atOnce) {
    const some = pixels.subarray(at * imageBytes, (at + atOnce) * imageBytes);
    answers.push(await runOnce(session, { ...task, count: atOnce }, some));
  }
  const seconds = (performance.now() - started) / 1000;
  const outputs =
    answers.length === 1 ? answers[0]! : names.map((_, i) => joined(answers.map((answer) => answer[i]!)));
  const lengths = names.map((name, i) => ({ name, length: outputs[i]!.length }));
  return {
    reply: { answer: { outputs: lengths, seconds, memoryBytes: process.memoryUsage.rss() } },
    outputs,
  };
}

/** `session.run` blocks the thread it is called on (onnxruntime#19611); here nobody else needs it. */
async function runOnce(
  session: InferenceSession,
  { height, width, count, names }: BatchTask,
  pixels: Pixels,
): Promise<Outputs> {
  const inGraph = (name: AskedFeature) => (name === 'rollout' ? 'dino_rollout' : name);
  // The tensor is the very memory that the request was read into.
  const results = await session.run(
    { pixels: new Tensor('uint8', pixels, [count, height, width, 3]) },
    names.map(inGraph),
  );
  return names.map((name) => results[inGraph(name)]!.data as Float32Array);
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}

async function answer(request: SessionRequest, pixels: Pixels): Promise<Answer> {
  try {
    if ('run' in request) return await run(request.run, pixels);
    await open(request.open);
    return { reply: { opened: true }, outputs: [] };
  } catch (error) {
    const failure = (error as Error).message;
    const reply = error instanceof CheckpointError ? ({ failure, isRefusal: true } as const) : { failure };
    return { reply, outputs: [] };
  }
}

// A terminal and a service manager signal the whole group; the service finishes its work first and then ends this.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

const room = new PayloadRoom();
for (;;) {
  const frame = readFrame<SessionRequest>(SOCKET_FD, room);
  if (frame === undefined) break;
  const { reply, outputs } = await answer(frame.header, frame.payload);
  try {
    writeFrame(SOCKET_FD, reply, outputs.map(bytesOf));
  } catch (error) {
    if (!isGone(error)) throw error;
    // A service that has gone meanwhile needs no answer, and nobody a stack of it.
    break;
  }
}
process.exit();

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
