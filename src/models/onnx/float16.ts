import { CheckpointError } from '../checkpoints/checkpoint-error.js';

/** Smallest magnitude that rounds to infinity and not to the largest float16, 65504. */
const OVERFLOW = 65520;

/**
 * float32 to IEEE 754 binary16, rounded to nearest, ties to even; subnormals included.
 *
 * @param name of the tensor, for the error
 * @throws CheckpointError when a value is too large for float16 or not finite
 */
export function toFloat16(values: Float32Array, name: string): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    // Also false for NaN.
    if (!(Math.abs(values[i]!) < OVERFLOW)) {
      throw new CheckpointError(
        `the tensor ${name} holds ${values[i]}, which float16 can't: use the precision fp32 for this model`,
      );
    }
    halves[i] = halfBits(bits[i]!);
  }
  return halves;
}

/** Bits of a float32 below the overflow to bits of a float16. */
function halfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  // Exponents below -14 are subnormal in float16: multiples of 2^-24.
  if (magnitude < 0x3880_0000) {
    const exponent = magnitude >>> 23;
    const shift = 126 - exponent;
    if (shift > 24) return sign;
    const mantissa = (magnitude & 0x7f_ffff) | 0x80_0000;
    return sign | roundedShift(mantissa, shift);
  }
  // A carry out of the mantissa raises the exponent, as it should.
  return sign | roundedShift(magnitude - 0x3800_0000, 13);
}

/** value / 2^shift, rounded to nearest, ties to even; shift in 1..24. */
function roundedShift(value: number, shift: number): number {
  const quotient = value >>> shift;
  const rest = value - quotient * 2 ** shift;
  const half = 2 ** (shift - 1);
  return rest > half || (rest === half && quotient % 2 === 1) ? quotient + 1 : quotient;
}
