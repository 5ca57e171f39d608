import { describe, expect, it } from 'vitest';
import { binaryAffinity } from '#dino/segmentation/affinity.js';
import { BitMatrix } from '#dino/segmentation/bit-matrix.js';
import { DenseAffinity } from '#dino/segmentation/dense-affinity.js';
import { createRandom } from '../../support/drawn-scenes.js';

const SIZES = [1, 2, 3, 4, 7, 8, 9, 16, 31, 65, 100];

function randomRows(size: number, dimension: number, seed: number): Float64Array {
  const random = createRandom(seed);
  return Float64Array.from({ length: size * dimension }, () => random() - 0.5);
}

function product(rows: Float64Array, dimension: number, first: number, second: number): number {
  let sum = 0;
  for (let at = 0; at < dimension; at++)
    sum += rows[first * dimension + at]! * rows[second * dimension + at]!;
  return sum;
}

describe('pairs of rows that are alike', () => {
  it.each(SIZES)('of %i are those whose dot product is above the threshold', (size) => {
    for (const [dimension, above] of [
      [1, 0],
      [5, 0.1],
      [32, -0.3],
    ] as const) {
      const rows = randomRows(size, dimension, size);
      const matrix = binaryAffinity({ rows, dimension, above });
      const pairs = Array.from(
        { length: size * size },
        (_, at) => [Math.floor(at / size), at % size] as const,
      );
      expect(pairs.map(([first, second]) => matrix.has(first, second))).toEqual(
        pairs.map(([first, second]) => product(rows, dimension, first, second) > above),
      );
    }
  });

  it('leave out those at the threshold', () => {
    const rows = Float64Array.from([1, 0, 2, 0, 0, 1]);
    const matrix = binaryAffinity({ rows, dimension: 2, above: 2 });
    expect([...matrix.rowCounts()]).toEqual([0, 1, 0]);
    expect(matrix.has(1, 1)).toBe(true);
  });
});

describe('a matrix of bits', () => {
  it.each(SIZES)('of %i multiplies and counts as its entries do', (size) => {
    const random = createRandom(size);
    const matrix = new BitMatrix(size);
    for (let pair = 0; pair < size * 3; pair++) {
      matrix.join(Math.floor(random() * size), Math.floor(random() * size));
    }
    const vector = Float64Array.from({ length: size }, () => random() - 0.5);
    // What an earlier product left behind must not show.
    const result = new Float64Array(size).fill(7);
    matrix.multiply(
      vector.map(() => 9),
      result,
    );
    matrix.multiply(vector, result);
    const counts = matrix.rowCounts();
    for (let row = 0; row < size; row++) {
      const inside = [...vector.keys()].filter((column) => matrix.has(row, column));
      expect(counts[row]).toBe(inside.length);
      expect(result[row]).toBeCloseTo(
        inside.reduce((sum, column) => sum + vector[column]!, 0),
        12,
      );
      expect(inside.every((column) => matrix.has(column, row))).toBe(true);
    }
  });
  it.each(SIZES)('of %i lets go of a row and its column, and of nothing else', (size) => {
    const random = createRandom(size);
    const [matrix, before] = [new BitMatrix(size), new BitMatrix(size)];
    for (let pair = 0; pair < size * 3; pair++) {
      const [row, column] = [Math.floor(random() * size), Math.floor(random() * size)];
      matrix.join(row, column);
      before.join(row, column);
    }
    const gone = Math.floor(random() * size);
    matrix.isolate(gone);
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        const isKept = row !== gone && column !== gone && before.has(row, column);
        expect(matrix.has(row, column)).toBe(isKept);
      }
    }
  });
});

describe('a matrix of numbers', () => {
  it.each(SIZES)('of %i holds the dot products of rows, and the floor where they are below it', (size) => {
    const [dimension, floor] = [6, 0.05];
    const rows = randomRows(size, dimension, size + 1);
    const matrix = new DenseAffinity({ rows, dimension, floor });
    const entry = (row: number, column: number) => Math.max(floor, product(rows, dimension, row, column));
    const random = createRandom(size);
    const vector = Float64Array.from({ length: size }, () => random() - 0.5);
    const result = new Float64Array(size).fill(7);
    matrix.multiply(vector, result);
    const sums = matrix.rowSums();
    const others: number[] = [];
    for (let row = 0; row < size; row++) {
      const entries = Array.from({ length: size }, (_, column) => entry(row, column));
      expect(result[row]).toBeCloseTo(
        entries.reduce((sum, value, column) => sum + value * vector[column]!, 0),
        12,
      );
      expect(sums[row]).toBeCloseTo(
        entries.reduce((sum, value) => sum + value, 0),
        12,
      );
      others.push(...entries.filter((_, column) => column !== row));
    }
    const [least, most] = matrix.range();
    if (size === 1) expect([least, most]).toEqual([Infinity, -Infinity]);
    else {
      expect(least).toBeCloseTo(Math.min(...others), 12);
      expect(most).toBeCloseTo(Math.max(...others), 12);
    }
  });
});
