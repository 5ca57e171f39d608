import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { GraphBuilder, LazyFloats } from '#dino/models/onnx/graph-builder.js';
import { writeModel, type WriteModelOptions } from '#dino/models/onnx/write-model.js';
import { temporaryFolder } from './temporary-folder.js';

/** Numbers in [-1, 1) that look random and are the same everywhere. */
export function noise(length: number, seed: number): Float32Array {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

export function lazy(values: Float32Array, ...shape: number[]): LazyFloats {
  return { shape, load: async () => values };
}

/** Writes a graph to a folder of its own and opens it. */
export async function openGraph(graph: GraphBuilder, options?: WriteModelOptions): Promise<InferenceSession> {
  const { path } = await writeModel(graph, await temporaryFolder(), options);
  return InferenceSession.create(path, { intraOpNumThreads: 1, logSeverityLevel: 3 });
}

export async function run(
  session: InferenceSession,
  input: string,
  values: Float32Array,
  shape: readonly number[],
): Promise<Record<string, Float32Array>> {
  const results = await session.run({ [input]: new Tensor('float32', values, shape) });
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, data as Float32Array]));
}

export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return dot / Math.sqrt(aa * bb);
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return NaN;
  let largest = 0;
  // Not Math.max alone: a NaN must come through.
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
}
