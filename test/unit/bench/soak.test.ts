import { describe, expect, it } from 'vitest';
import { growthOf } from '../../bench/soak.js';
import { knnAccuracy } from '../../bench/knn.js';

describe('memory under load', () => {
  it('is compared between the second minute and the last one', () => {
    const samples = Array.from({ length: 61 * 60 }, (_, second) => {
      const minutes = second / 60;
      return { minutes, bytes: minutes < 1 ? 50 : minutes < 30 ? 100 + (second % 3) : 110 };
    });
    expect(growthOf(samples, 60)).toEqual({ early: 101, late: 110 });
  });

  it('can be told of short runs too, as far as there is anything', () => {
    const samples = [0.06, 0.07, 0.48, 0.5].map((minutes, i) => ({ minutes, bytes: i }));
    expect(growthOf(samples, 0.5)).toEqual({ early: 0, late: 2 });
    expect(() => growthOf([], 1)).toThrow('too short');
  });
});

describe('the k-NN accuracy', () => {
  it('weighs near neighbours more than many', () => {
    const at = (degrees: number, label: string) => {
      const angle = (degrees * Math.PI) / 180;
      return { label, vector: Float32Array.of(Math.cos(angle), Math.sin(angle)) };
    };
    const stored = [at(0, 'cat'), at(90, 'dog'), at(91, 'dog'), at(92, 'dog')];
    expect(knnAccuracy(stored, [at(10, 'cat'), at(80, 'dog'), at(85, 'cat'), at(5, 'cat')])).toBe(0.75);
  });
});
