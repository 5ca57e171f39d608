import type { LazyTensor, StateDict } from '../checkpoints/tensor.js';
import type { GraphBuilder, LazyFloats } from '../onnx/graph-builder.js';
import { int8Weight } from '../onnx/int8-weight.js';
import { elementCount } from '../onnx/weight.js';
import { tensorOf } from './shared-tensors.js';

/** PyTorch's default, which every published network keeps. */
const BATCH_NORM_EPSILON = 1e-5;
/** Weights smaller than this stay float32 in an int8 model: they cost nothing. */
const SMALLEST_INT8 = 4096;
const BATCH_NORM_TENSORS = ['weight', 'bias', 'running_mean', 'running_var'];

export interface Convolution {
  /** Of its tensors: `${name}.weight` [out, in / groups, height, width] and, if there is one, `${name}.bias` [out]. */
  readonly name: string;
  /** A batch normalisation after it, folded into the weights: exact, whatever the padding. */
  readonly norm?: string;
  readonly stride?: number;
  /** Zeros on every side. */
  readonly padding?: number;
  readonly groups?: number;
}

/** Adds a 2-D convolution of x [B, in, H, W]. @returns `${name}.out` */
export function convolve(g: GraphBuilder, state: StateDict, x: string, convolution: Convolution): string {
  const { name, norm, stride = 1, padding = 0, groups = 1 } = convolution;
  const weight = tensorOf(state, `${name}.weight`);
  const bias = state.get(`${name}.bias`);
  const folded = norm === undefined ? { weight, bias } : fold(weight, bias, affineOf(state, norm));
  const inputs = [x, convolutionWeight(g, `${name}.weight`, folded.weight)];
  if (folded.bias !== undefined) inputs.push(g.weight(`${name}.bias`, folded.bias));
  return g.op('Conv', inputs, {
    out: `${name}.out`,
    attributes: {
      kernel_shape: weight.shape.slice(2),
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
      group: groups,
    },
  });
}

/** Adds a batch normalisation of x [B, channels, H, W] that no convolution takes up. @returns `${name}.out` */
export function batchNorm(g: GraphBuilder, state: StateDict, x: string, name: string): string {
  const tensors = BATCH_NORM_TENSORS.map((leaf) => `${name}.${leaf}`);
  const inputs = [x, ...tensors.map((tensor) => g.weight(tensor, tensorOf(state, tensor)))];
  return g.op('BatchNormalization', inputs, {
    out: `${name}.out`,
    attributes: { epsilon: BATCH_NORM_EPSILON },
  });
}

/** Adds the shapes of a batch normalisation's tensors. */
export function expectBatchNorm(
  shapes: Map<string, readonly number[]>,
  name: string,
  channels: number,
): void {
  for (const leaf of BATCH_NORM_TENSORS) shapes.set(`${name}.${leaf}`, [channels]);
}

/** The counters that batch normalisations keep while training. */
export function batchCounters(state: StateDict): string[] {
  return [...state.keys()].filter((name) => name.endsWith('.num_batches_tracked'));
}

function convolutionWeight(g: GraphBuilder, name: string, weight: LazyFloats): string {
  const store = g.precision === 'int8' && elementCount(weight.shape) >= SMALLEST_INT8;
  return store ? int8Weight(g, name, weight) : g.weight(name, weight);
}

interface Affine {
  readonly scale: Float64Array;
  readonly shift: Float64Array;
}

/** A batch normalisation of fixed statistics as y = scale x + shift per channel, computed in float64 when it is needed. */
function affineOf(state: StateDict, name: string): () => Promise<Affine> {
  const tensors = BATCH_NORM_TENSORS.map((leaf) => tensorOf(state, `${name}.${leaf}`));
  return async () => {
    const loaded = await Promise.all(tensors.map((tensor) => tensor.load()));
    const [weight, bias, mean, variance] = loaded as [Float32Array, Float32Array, Float32Array, Float32Array];
    const scale = Float64Array.from(weight, (w, c) => w / Math.sqrt(variance[c]! + BATCH_NORM_EPSILON));
    return { scale, shift: Float64Array.from(bias, (b, c) => b - mean[c]! * scale[c]!) };
  };
}

function fold(
  weight: LazyTensor,
  bias: LazyTensor | undefined,
  affine: () => Promise<Affine>,
): { weight: LazyFloats; bias: LazyFloats } {
  const [channels] = weight.shape as [number];
  return {
    weight: {
      shape: weight.shape,
      async load() {
        const [values, { scale }] = await Promise.all([weight.load(), affine()]);
        return scaleChannels(values, scale);
      },
    },
    bias: {
      shape: [channels],
      async load() {
        const [values, { scale, shift }] = await Promise.all([bias?.load(), affine()]);
        return Float32Array.from(shift, (value, c) => value + (values?.[c] ?? 0) * scale[c]!);
      },
    },
  };
}

/** Multiplies each channel of a weight [out, ...] by its scale. */
function scaleChannels(values: Float32Array, scale: Float64Array): Float32Array {
  const scaled = new Float32Array(values.length);
  const perChannel = values.length / scale.length;
  for (let channel = 0, index = 0; channel < scale.length; channel++) {
    const factor = scale[channel]!;
    for (const end = index + perChannel; index < end; index++) scaled[index] = values[index]! * factor;
  }
  return scaled;
}
