import { describe, expect, it } from 'vitest';
import { CheckpointError } from '#dino/models/checkpoints/checkpoint-error.js';
import { LARGEST_WEIGHT, quantise } from '#dino/models/onnx/quantisation.js';
import { noise } from './sessions.js';

describe('quantise', () => {
  it('gives every output channel the scale of its largest weight, and whole numbers at most half a step away', () => {
    const [outputs, inputs] = [5, 37];
    // Channels of very different sizes.
    const weight = noise(outputs * inputs, 3).map((value, i) => value * 10 ** (Math.floor(i / inputs) - 2));
    const { values, scales } = quantise(weight, outputs, inputs, 'w');
    expect(values).toHaveLength(outputs * inputs);
    for (let output = 0; output < outputs; output++) {
      const row = weight.subarray(output * inputs, (output + 1) * inputs);
      const peak = Math.max(...row.map(Math.abs));
      expect(scales[output]).toBe(Math.fround(peak / LARGEST_WEIGHT));
      const column = row.map((_, input) => values[input * outputs + output]!);
      expect(Math.max(...column.map(Math.abs))).toBe(LARGEST_WEIGHT);
      row.forEach((value, input) => {
        expect(Math.abs(value - column[input]! * scales[output]!)).toBeLessThanOrEqual(
          scales[output]! * 0.50001,
        );
      });
    }
  });

  it('rounds halves to the even number and keeps the sign', () => {
    const halves = Float32Array.of(0.5, 1.5, 2.5, -0.5, -1.5, -2.5, LARGEST_WEIGHT, -3.49);
    const { values, scales } = quantise(halves, 1, 8, 'w');
    expect(scales[0]).toBe(1);
    expect([...values].map((value) => value + 0)).toEqual([0, 2, 2, 0, -2, -2, LARGEST_WEIGHT, -3]);
  });

  it('stores the matrix as [in, out]', () => {
    const peak = LARGEST_WEIGHT;
    expect([...quantise(Float32Array.of(peak, 1, 2, 3, peak, 5), 2, 3, 'w').values]).toEqual([
      peak,
      3,
      1,
      peak,
      2,
      5,
    ]);
  });

  it('has zeros for a channel of zeros', () => {
    const { values, scales } = quantise(new Float32Array(4), 2, 2, 'w');
    expect([...values]).toEqual([0, 0, 0, 0]);
    expect([...scales]).toEqual([1, 1]);
  });

  it('refuses what is no number, and names the tensor', () => {
    expect(() => quantise(Float32Array.of(1, NaN), 1, 2, 'blocks.0.mlp.fc1.weight')).toThrow(CheckpointError);
    expect(() => quantise(Float32Array.of(1, Infinity), 1, 2, 'blocks.0.mlp.fc1.weight')).toThrow(
      'the tensor blocks.0.mlp.fc1.weight holds Infinity: the checkpoint is damaged',
    );
  });
});
