import { describe, expect, it } from 'vitest';
import { CheckpointError } from '#dino/models/checkpoints/checkpoint-error.js';
import { toFloat16 } from '#dino/models/onnx/float16.js';

/** The definition of binary16, read the other way. */
function toNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

const convert = (...values: number[]) => [...toFloat16(Float32Array.from(values), 'w')];
/** All finite non-negative float16 numbers, in order. */
const finite = Array.from({ length: 0x7c00 }, (_, half) => half);

describe('toFloat16', () => {
  it('keeps every number that float16 has, subnormals and both zeros included', () => {
    expect(convert(...finite.map(toNumber))).toEqual(finite);
    const negative = finite.map((half) => half | 0x8000);
    expect(convert(...negative.map(toNumber))).toEqual(negative);
  });

  it('rounds to the nearest, and halfway to the even one', () => {
    const upper = finite.slice(1);
    const middles = upper.map((half) => (toNumber(half - 1) + toNumber(half)) / 2);
    expect(convert(...middles)).toEqual(upper.map((half) => (half % 2 === 0 ? half : half - 1)));
    // The next float32 to either side of halfway.
    const nudged = (step: number) => {
      const values = Float32Array.from(middles);
      const bits = new Uint32Array(values.buffer);
      return [...values.keys()].map((i) => {
        bits[i]! += step;
        return values[i]!;
      });
    };
    expect(convert(...nudged(1))).toEqual(upper);
    expect(convert(...nudged(-1))).toEqual(upper.map((half) => half - 1));
  });

  it('makes zero of what is too small, float32 subnormals included', () => {
    expect(convert(2 ** -25, -(2 ** -26), 2 ** -149, 2 ** -25 * (1 + 2 ** -23))).toEqual([0, 0x8000, 0, 1]);
  });

  it('refuses what is too large and what is no number, and names the tensor', () => {
    expect(convert(65504, 65519.996, -65519.996)).toEqual([0x7bff, 0x7bff, 0xfbff]);
    for (const value of [65520, -1e5, Infinity, NaN]) {
      expect(() => toFloat16(Float32Array.of(1, value), 'blocks.0.mlp.fc1.weight')).toThrow(CheckpointError);
    }
    expect(() => toFloat16(Float32Array.of(70000), 'blocks.0.mlp.fc1.weight')).toThrow(
      "the tensor blocks.0.mlp.fc1.weight holds 70000, which float16 can't: use the precision fp32 for this model",
    );
  });
});
