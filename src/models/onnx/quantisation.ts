import { CheckpointError } from '../checkpoints/checkpoint-error.js';

/** A matrix as int8 with a scale per output channel: w[o][i] is about `values[i * out + o] * scales[o]`. */
export interface QuantisedMatrix {
  /** [in, out], the layout of a matrix product. */
  readonly values: Int8Array;
  /** [out]. */
  readonly scales: Float32Array;
}

/** Largest magnitude of a quantised weight. */
export const LARGEST_WEIGHT = 127;

/**
 * Quantises a matrix [out, in] symmetrically: scale = max |w| / 127 per output channel, rounded to nearest, ties to even.
 *
 * @param name of the tensor, for the error
 * @throws CheckpointError when a value is not finite
 */
export function quantise(
  weight: Float32Array,
  outputs: number,
  inputs: number,
  name: string,
  largest = LARGEST_WEIGHT,
): QuantisedMatrix {
  const values = new Int8Array(weight.length);
  const scales = new Float32Array(outputs);
  for (let output = 0; output < outputs; output++) {
    const row = weight.subarray(output * inputs, (output + 1) * inputs);
    let peak = 0;
    for (const value of row) {
      if (!Number.isFinite(value))
        throw new CheckpointError(`the tensor ${name} holds ${value}: the checkpoint is damaged`);
      peak = Math.max(peak, Math.abs(value));
    }
    // A channel of zeros, or of values that vanish in float32, has no scale of its own.
    const scale = Math.fround(peak / largest) || 1;
    scales[output] = scale;
    for (let input = 0; input < inputs; input++)
      values[input * outputs + output] = roundHalfEven(row[input]! / scale, largest);
  }
  return { values, scales };
}

function roundHalfEven(value: number, limit: number): number {
  let rounded = Math.round(value);
  // Math.round takes ties upwards.
  if (rounded - value === 0.5 && rounded % 2 !== 0) rounded -= 1;
  return Math.max(-limit, Math.min(limit, rounded));
}
