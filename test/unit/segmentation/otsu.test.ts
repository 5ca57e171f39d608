import { describe, expect, it } from 'vitest';
import { otsuLevel } from '#dino/segmentation/otsu.js';
import { createRandom } from '../../support/drawn-scenes.js';

function variance(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
}

describe("Otsu's threshold", () => {
  it('leaves the least variance within the two parts, of all ways to part the values', () => {
    const random = createRandom(8);
    for (let round = 0; round < 100; round++) {
      const count = 2 + Math.floor(random() * 30);
      // Some values occur several times.
      const values = Array.from({ length: count }, () => Math.floor(random() * 20) - 7);
      const level = otsuLevel(Float64Array.from(values));
      const within = (limit: number) =>
        variance(values.filter((value) => value <= limit)) +
        variance(values.filter((value) => value > limit));
      const limits = [...new Set(values)].sort((a, b) => a - b).slice(0, -1);
      if (limits.length === 0) {
        expect(level).toBeUndefined();
        continue;
      }
      expect(limits).toContain(level);
      expect(within(level!)).toBeCloseTo(Math.min(...limits.map(within)), 9);
    }
  });

  it('parts few from many', () => {
    expect(otsuLevel(Float64Array.from([0.1, 0.2, 0.15, 5, 0.12]))).toBe(0.2);
  });

  it('is none for values that are all equal, and for a single one', () => {
    expect(otsuLevel(Float64Array.from([3, 3, 3]))).toBeUndefined();
    expect(otsuLevel(Float64Array.from([3]))).toBeUndefined();
  });

  it('leaves the values as they were', () => {
    const values = Float64Array.from([3, 1, 2]);
    otsuLevel(values);
    expect([...values]).toEqual([3, 1, 2]);
  });
});
