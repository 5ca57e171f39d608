import { describe, expect, it } from 'vitest';
import { nextEigenvectors, secondEigenvector } from '#dino/segmentation/eigenvector.js';
import { largestEigenpair } from '#dino/segmentation/tridiagonal.js';
import { createRandom } from '../../support/drawn-scenes.js';

/** Discrete cosine of one frequency: the eigenvectors of the path's adjacency with loops at its ends. */
function cosine(size: number, frequency: number): Float64Array {
  return Float64Array.from({ length: size }, (_, at) => Math.cos((Math.PI * frequency * (at + 0.5)) / size));
}

/** Averages each entry with its two neighbours, the ends with themselves: symmetric, largest eigenvalue 1. */
function smooth(vector: Float64Array, product: Float64Array): void {
  const last = vector.length - 1;
  for (let at = 0; at <= last; at++) {
    product[at] = (vector[Math.max(0, at - 1)]! + vector[at]! + vector[Math.min(last, at + 1)]!) / 3;
  }
}

function diagonalProduct(values: readonly number[]) {
  return (vector: Float64Array, product: Float64Array) => {
    values.forEach((value, at) => (product[at] = value * vector[at]!));
  };
}

function absoluteCosine(first: Float64Array, second: Float64Array): number {
  let [product, a, b] = [0, 0, 0];
  first.forEach((entry, at) => {
    product += entry * second[at]!;
    a += entry ** 2;
    b += second[at]! ** 2;
  });
  return Math.abs(product) / Math.sqrt(a * b);
}

function axis(size: number, at: number): Float64Array {
  const vector = new Float64Array(size);
  vector[at] = 1;
  return vector;
}

describe('the second eigenvector', () => {
  it.each([2, 3, 10, 57, 200])('of a path of %i is the half cosine', (size) => {
    const first = new Float64Array(size).fill(3);
    const { value, vector, residual } = secondEigenvector({ multiply: smooth, first });
    expect(value).toBeCloseTo((1 + 2 * Math.cos(Math.PI / size)) / 3, 12);
    expect(absoluteCosine(vector, cosine(size, 1))).toBeCloseTo(1, 12);
    expect(residual).toBeLessThanOrEqual(1e-12);
  });

  it('is told from a third that lies a hundred-thousandth below it', () => {
    const values = [1, 0.99999, 0.99998, ...Array.from({ length: 397 }, (_, at) => 0.9 - at / 500)];
    const found = secondEigenvector({ multiply: diagonalProduct(values), first: axis(400, 0) });
    expect(found.value).toBeCloseTo(0.99999, 12);
    expect(absoluteCosine(found.vector, axis(400, 1))).toBeCloseTo(1, 10);
    expect(Math.abs(found.vector[2]!)).toBeLessThan(1e-6);
  });

  it('is found where the eigenvalues are negative or the same', () => {
    const values = [1, -0.5, -0.5, -0.5, -2];
    const { value, vector, steps } = secondEigenvector({
      multiply: diagonalProduct(values),
      first: axis(5, 0),
    });
    expect(value).toBeCloseTo(-0.5, 12);
    expect(Math.hypot(vector[1]!, vector[2]!, vector[3]!)).toBeCloseTo(1, 12);
    // Two different eigenvalues: two products span all that the start vector can reach.
    expect(steps).toBe(2);
  });

  it('has no share of the first, though that has the larger eigenvalue', () => {
    const random = createRandom(5);
    const first = Float64Array.from({ length: 120 }, () => random() + 0.1);
    const square = first.reduce((sum, entry) => sum + entry ** 2, 0);
    // The first's projector, and a tenth of the first matrix entry's.
    const multiply = (vector: Float64Array, product: Float64Array) => {
      const share = vector.reduce((sum, entry, at) => sum + entry * first[at]!, 0) / square;
      first.forEach((entry, at) => (product[at] = share * entry));
      const rest = vector[0]! - share * first[0]!;
      first.forEach(
        (entry, at) => (product[at]! += 0.1 * rest * ((at === 0 ? 1 : 0) - (first[0]! * entry) / square)),
      );
    };
    const { vector } = secondEigenvector({ multiply, first });
    const expected = first.map((entry, at) => (at === 0 ? 1 : 0) - (first[0]! * entry) / square);
    expect(absoluteCosine(vector, first)).toBeLessThan(1e-12);
    expect(absoluteCosine(vector, expected)).toBeCloseTo(1, 12);
  });

  it('is the same every time', () => {
    const first = new Float64Array(300).fill(1);
    const [one, other] = [0, 1].map(() => secondEigenvector({ multiply: smooth, first }));
    expect(one).toEqual(other);
  });

  it('is given up after the steps allowed, with the residual that tells', () => {
    const first = new Float64Array(400).fill(1);
    const { steps, residual, vector, value } = secondEigenvector({ multiply: smooth, first, maxSteps: 7 });
    expect(steps).toBe(7);
    expect(residual).toBeGreaterThan(1e-6);
    const product = new Float64Array(400);
    smooth(vector, product);
    const difference = Math.hypot(...product.map((entry, at) => entry - value * vector[at]!));
    expect(difference).toBeCloseTo(residual, 10);
  });
});

describe('several eigenvectors', () => {
  it('of a path are cosines of one frequency after the other, in descending order', () => {
    const first = new Float64Array(90).fill(1);
    const pairs = nextEigenvectors({ multiply: smooth, first }, 6);
    expect(pairs).toHaveLength(6);
    pairs.forEach(({ value, vector, residual }, index) => {
      const frequency = index + 1;
      expect(value).toBeCloseTo((1 + 2 * Math.cos((Math.PI * frequency) / 90)) / 3, 12);
      expect(absoluteCosine(vector, cosine(90, frequency))).toBeCloseTo(1, 10);
      expect(residual).toBeLessThanOrEqual(1e-12);
    });
    expect(pairs[0]).toEqual(secondEigenvector({ multiply: smooth, first }));
  });

  it('of an eigenvalue that occurs three times are three, at right angles', () => {
    const values = [1, 0.5, 0.5, 0.5, 0.2, 0.1];
    const pairs = nextEigenvectors({ multiply: diagonalProduct(values), first: axis(6, 0) }, 4);
    expect(pairs.map(({ value }) => value.toFixed(9))).toEqual(
      ['0.5', '0.5', '0.5', '0.2'].map((text) => Number(text).toFixed(9)),
    );
    pairs.forEach(({ vector }, index) => {
      for (const { vector: other } of pairs.slice(0, index))
        expect(absoluteCosine(vector, other)).toBeLessThan(1e-9);
    });
  });

  it('are as many as the matrix has besides the first', () => {
    const first = new Float64Array(4).fill(1);
    expect(nextEigenvectors({ multiply: smooth, first }, 9)).toHaveLength(3);
    expect(nextEigenvectors({ multiply: smooth, first }, 0)).toEqual([]);
  });
});

describe('the largest eigenpair of a tridiagonal matrix', () => {
  it.each([1, 2, 5, 80])('of size %i is that of the second difference', (size) => {
    const { value, vector } = largestEigenpair({
      diagonal: new Array<number>(size).fill(2),
      offDiagonal: new Array<number>(size).fill(1),
    });
    expect(value).toBeCloseTo(2 + 2 * Math.cos(Math.PI / (size + 1)), 12);
    const expected = Float64Array.from({ length: size }, (_, at) =>
      Math.sin((Math.PI * (at + 1)) / (size + 1)),
    );
    expect(absoluteCosine(vector, expected)).toBeCloseTo(1, 12);
  });

  it('keeps the small entries of a vector that fades away', () => {
    // Row by row (value - diagonal) v = the sum of its neighbours, each times the entry between.
    const diagonal = [1, ...new Array<number>(30).fill(0)];
    const offDiagonal = new Array<number>(30).fill(0.1);
    const { value, vector } = largestEigenpair({ diagonal, offDiagonal });
    expect(vector[30]!).toBeLessThan(1e-25);
    expect(vector[30]! / vector[29]!).toBeCloseTo(0.1 / value, 10);
  });
});
