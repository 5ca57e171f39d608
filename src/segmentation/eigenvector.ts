import { largestEigenpair } from './tridiagonal.js';

export interface EigenvectorOptions {
  /** Writes the product of a symmetric matrix and `vector` into `product`; neither is kept. */
  readonly multiply: (vector: Float64Array, product: Float64Array) => void;
  /** The eigenvector of the largest eigenvalue, any length but 0; it fixes the size n >= 2 of the matrix. */
  readonly first: Float64Array;
  /** Largest length of `A v - value v` at which v counts as found, relative to a matrix of norm 1. Default 1e-12. */
  readonly tolerance?: number;
  /** Most products to take, from 1; default 500. */
  readonly maxSteps?: number;
}

export interface Eigenpair {
  readonly value: number;
  /** Length 1, orthogonal to the eigenvectors before it; of its two signs either. */
  readonly vector: Float64Array;
  /** Length of `A v - value v`, as the recurrence gives it; above `tolerance` only when `maxSteps` were not enough. */
  readonly residual: number;
  /** Products taken. */
  readonly steps: number;
}

/**
 * The second largest eigenvalue of a symmetric matrix and its eigenvector, when the first eigenvector is known.
 * Lanczos iteration in the space orthogonal to the first, every new vector orthogonalised against all before it
 * (Golub and Van Loan, Matrix Computations, section 10.3). Starts from the same pseudo-random vector each time,
 * so the answer is the same each time. The vector's angle to the true one is at most residual / gap, where gap is
 * the distance to the third eigenvalue; of an eigenvalue that occurs several times it is one vector among them.
 */
export function secondEigenvector(options: EigenvectorOptions): Eigenpair {
  return nextEigenpair(options, [unit(options.first)]);
}

/**
 * The `count` largest eigenvalues after the first, in descending order, and their eigenvectors; n - 1 where there
 * are no more. Each comes from an iteration of its own, orthogonal to all before it (deflation), so that an
 * eigenvalue that occurs several times is found several times. Errors as of {@link secondEigenvector}.
 */
export function nextEigenvectors(options: EigenvectorOptions, count: number): Eigenpair[] {
  const known = [unit(options.first)];
  const pairs: Eigenpair[] = [];
  while (pairs.length < count && known.length < options.first.length) {
    const pair = nextEigenpair(options, known);
    pairs.push(pair);
    known.push(pair.vector);
  }
  return pairs;
}

/** The largest eigenpair orthogonal to the eigenvectors known, each of length 1. */
function nextEigenpair(options: EigenvectorOptions, known: readonly Float64Array[]): Eigenpair {
  const { multiply, tolerance = 1e-12, maxSteps = 500 } = options;
  const size = known[0]!.length;
  const basis = [...known];
  const diagonal: number[] = [];
  const offDiagonal: number[] = [];
  // Not the vector that an earlier iteration began with: nothing may be left of that in its eigenspace.
  let next = noise(size, known.length - 1);
  orthogonalise(next, basis);
  for (;;) {
    const current = unit(next);
    basis.push(current);
    next = new Float64Array(size);
    multiply(current, next);
    diagonal.push(dot(next, current));
    // In exact arithmetic these two are all there is to remove; the others take away rounding errors.
    orthogonalise(next, basis.slice(-2));
    const before = length(next);
    orthogonalise(next, basis);
    // Once more where that was much of the vector: what is left of it has errors of its own.
    if (length(next) < 0.7 * before) orthogonalise(next, basis);
    const steps = diagonal.length;
    const rest = length(next);
    // The space is used up, or what is left of the product is rounding.
    const isExhausted = steps === size - known.length || rest <= tolerance;
    const isLast = isExhausted || steps >= maxSteps;
    if (isLast || steps % STEPS_PER_CHECK === 0) {
      const { value, vector: weights } = largestEigenpair({ diagonal, offDiagonal });
      const residual = rest * weights[steps - 1]!;
      if (isLast || residual <= tolerance) {
        return { value, vector: combine(basis.slice(known.length), weights), residual, steps };
      }
    }
    offDiagonal.push(rest);
  }
}

const STEPS_PER_CHECK = 5;

function dot(first: Float64Array, second: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < first.length; at++) sum += first[at]! * second[at]!;
  return sum;
}

function length(vector: Float64Array): number {
  return Math.sqrt(dot(vector, vector));
}

function unit(vector: Float64Array): Float64Array {
  const scale = 1 / length(vector);
  return vector.map((entry) => entry * scale);
}

function orthogonalise(vector: Float64Array, basis: readonly Float64Array[]): void {
  for (const direction of basis) {
    const share = dot(vector, direction);
    for (let at = 0; at < vector.length; at++) vector[at]! -= share * direction[at]!;
  }
}

function combine(basis: readonly Float64Array[], weights: Float64Array): Float64Array {
  const sum = new Float64Array(basis[0]!.length);
  basis.forEach((direction, index) => {
    const weight = weights[index]!;
    for (let at = 0; at < sum.length; at++) sum[at]! += weight * direction[at]!;
  });
  return unit(sum);
}

/** Numbers in -0.5..0.5 that follow no pattern an eigenvector could be orthogonal to; others for each `draw`, from 0. */
function noise(size: number, draw: number): Float64Array {
  let state = 1;
  const next = () => {
    // Numerical Recipes' linear congruential generator; its high bits are the good ones.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  for (let skipped = 0; skipped < draw * size; skipped++) next();
  return Float64Array.from({ length: size }, next);
}
