import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { FeatureName } from './features.js';

/** What the main thread asks of the worker: plain data, so that it can cross. */
export interface BatchTask {
  readonly modelPath: string;
  /** ONNX Runtime's threads inside one operator. */
  readonly threads: number;
  readonly providers: readonly string[];
  readonly height: number;
  readonly width: number;
  /** One buffer per image, `height * width * 3` bytes each. */
  readonly images: readonly Uint8Array[];
  readonly names: readonly FeatureName[];
}

export interface BatchAnswer {
  /** The whole batch per feature, first axis = image. */
  readonly outputs: Partial<Record<FeatureName, Float32Array<ArrayBuffer>>>;
  readonly seconds: number;
}

const sessions = new Map<string, Promise<InferenceSession>>();

function session(task: Pick<BatchTask, 'modelPath' | 'threads' | 'providers'>): Promise<InferenceSession> {
  let opening = sessions.get(task.modelPath);
  if (opening === undefined) {
    opening = InferenceSession.create(task.modelPath, {
      executionProviders: [...task.providers],
      // Taken from the host by default, which is wrong under cgroups (onnxruntime#8313).
      intraOpNumThreads: task.threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
    });
    // A failure is not remembered: the next task tries again.
    opening.catch(() => sessions.delete(task.modelPath));
    sessions.set(task.modelPath, opening);
  }
  return opening;
}

/** Runs one batch. `session.run` blocks the thread it is called on (onnxruntime#19611): that is why this is a worker. */
export default async function runBatch(task: BatchTask): Promise<BatchAnswer> {
  const model = await session(task);
  const { height, width, images } = task;
  const pixels = new Uint8Array(images.length * height * width * 3);
  images.forEach((image, i) => pixels.set(image, i * height * width * 3));
  const started = performance.now();
  const results = await model.run(
    { pixels: new Tensor('uint8', pixels, [images.length, height, width, 3]) },
    [...task.names],
  );
  const seconds = (performance.now() - started) / 1000;
  const outputs: Partial<Record<FeatureName, Float32Array<ArrayBuffer>>> = {};
  for (const name of task.names) {
    // A copy, since the tensor's memory belongs to ONNX Runtime.
    outputs[name] = (results[name]!.data as Float32Array<ArrayBuffer>).slice();
  }
  return { outputs, seconds };
}
