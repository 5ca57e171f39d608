/** A symmetric tridiagonal matrix with off-diagonal entries > 0. */
export interface Tridiagonal {
  /** k numbers. */
  readonly diagonal: readonly number[];
  /** At least k - 1 numbers > 0: entry i lies between rows i and i + 1. */
  readonly offDiagonal: readonly number[];
}

/**
 * The largest eigenvalue and its unit eigenvector, whose entries are all >= 0. The eigenvalue comes from bisection
 * on the signs of the pivots of x - T (Sturm's count; Golub and Van Loan, Matrix Computations, section 8.4),
 * the vector from inverse iteration just above the eigenvalue, where x - T is positive definite and needs no pivoting.
 */
export function largestEigenpair(matrix: Tridiagonal): { value: number; vector: Float64Array } {
  const { diagonal, offDiagonal } = matrix;
  const size = diagonal.length;
  const pivots = new Float64Array(size);
  let lower = Math.max(...diagonal);
  let upper = -Infinity;
  for (let row = 0; row < size; row++) {
    const before = row > 0 ? offDiagonal[row - 1]! : 0;
    const after = row < size - 1 ? offDiagonal[row]! : 0;
    // Gershgorin's bound.
    upper = Math.max(upper, diagonal[row]! + before + after);
  }
  upper += Number.EPSILON * (1 + Math.abs(upper));
  for (;;) {
    const middle = (lower + upper) / 2;
    if (!(middle > lower && middle < upper)) break;
    if (factorise(matrix, middle, pivots)) upper = middle;
    else lower = middle;
  }
  factorise(matrix, upper, pivots);
  const vector = new Float64Array(size).fill(1);
  for (let round = 0; round < INVERSE_ITERATIONS; round++) solve(matrix, pivots, vector);
  return { value: upper, vector };
}

/** From above the eigenvalue by a rounding error, each divides what is left of other vectors by its distance to them. */
const INVERSE_ITERATIONS = 4;

/** Pivots of x - T without exchanges; false as soon as one is not positive, which means an eigenvalue >= x. */
function factorise({ diagonal, offDiagonal }: Tridiagonal, x: number, pivots: Float64Array): boolean {
  for (let row = 0; row < pivots.length; row++) {
    const before = row > 0 ? offDiagonal[row - 1]! : 0;
    const pivot = x - diagonal[row]! - (row > 0 ? (before * before) / pivots[row - 1]! : 0);
    if (!(pivot > 0)) return false;
    pivots[row] = pivot;
  }
  return true;
}

/** Replaces `vector` by the solution of (x - T) v = vector, scaled to length 1. */
function solve({ offDiagonal }: Tridiagonal, pivots: Float64Array, vector: Float64Array): void {
  for (let row = 1; row < vector.length; row++) {
    vector[row]! += (offDiagonal[row - 1]! / pivots[row - 1]!) * vector[row - 1]!;
  }
  let largest = 0;
  for (let row = vector.length - 1; row >= 0; row--) {
    const next = row < vector.length - 1 ? offDiagonal[row]! * vector[row + 1]! : 0;
    vector[row] = (vector[row]! + next) / pivots[row]!;
    largest = Math.max(largest, vector[row]!);
  }
  // By the largest entry first: near the eigenvalue the squares would overflow.
  let square = 0;
  for (const entry of vector) square += (entry / largest) ** 2;
  for (let row = 0; row < vector.length; row++) vector[row]! /= largest * Math.sqrt(square);
}
