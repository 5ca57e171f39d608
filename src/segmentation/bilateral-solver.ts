import { AXES, type BilateralGrid } from './bilateral-grid.js';

export interface BilateralSolverOptions {
  /** Weight of smoothness against faith to the target, lambda; default 256. */
  readonly smoothness?: number;
  /** Faith in every pixel of the target, above 0; default 0.999. */
  readonly confidence?: number;
}

/** Rounds of bistochastisation. */
const ROUNDS = 10;
/** Length of the remainder at which the system counts as solved, relative to its right side. */
const TOLERANCE = 1e-7;
const MAX_STEPS = 2000;

/**
 * Finds of all pictures that are near a target the one that is smoothest where a photo is: it minimises
 * lambda / 2 * sum W_ij (x_i - x_j)^2 + sum c (x_i - t_i)^2, with W_ij bistochastised weights of pixels that are near
 * in place and colour. On the cells of a bilateral grid that is a sparse linear system, A y = b, with
 * A = lambda (D_m - D_n B D_n) + diag(S c) and b = S (c t).
 * Source: Barron and Poole, The Fast Bilateral Solver (https://arxiv.org/abs/1511.03296), equations 5 to 8 and
 * algorithm 1; weights as in https://github.com/YangtaoWANG95/TokenCut. Solved by conjugate gradients to the end, not
 * for 25 steps as there.
 */
export class BilateralSolver {
  readonly #grid: BilateralGrid;
  readonly #smoothness: number;
  readonly #confidence: number;
  /** n and m of the bistochastisation; n has a 0 after the last cell, as `blur` wants it. */
  readonly #scale: Float64Array;
  readonly #mass: Float64Array;
  /** Room for a product. */
  readonly #scaled: Float64Array;

  constructor(grid: BilateralGrid, options: BilateralSolverOptions = {}) {
    const { smoothness = 256, confidence = 0.999 } = options;
    this.#grid = grid;
    this.#smoothness = smoothness;
    this.#confidence = confidence;
    this.#scale = new Float64Array(grid.size + 1).fill(1, 0, grid.size);
    this.#mass = new Float64Array(grid.size);
    this.#scaled = new Float64Array(grid.size + 1);
    for (let round = 0; round <= ROUNDS; round++) {
      grid.blur(this.#scale, this.#mass);
      for (let cell = 0; cell < grid.size; cell++) {
        const scale = this.#scale[cell]!;
        if (round < ROUNDS)
          this.#scale[cell] = Math.sqrt((scale * grid.pixelCounts[cell]!) / this.#mass[cell]!);
        else this.#mass[cell]! *= scale;
      }
    }
  }

  /**
   * The smoothed target, a number for each cell of the grid.
   *
   * @param target one number a pixel, row by row
   */
  solve(target: Uint8Array): Float64Array {
    const grid = this.#grid;
    const right = new Float64Array(grid.size);
    for (let pixel = 0; pixel < target.length; pixel++) right[grid.cellOf[pixel]!]! += target[pixel]!;
    const mean = right.map((sum, cell) => sum / grid.pixelCounts[cell]!);
    for (let cell = 0; cell < grid.size; cell++) right[cell]! *= this.#confidence;
    return this.#conjugateGradients(right, mean);
  }

  /** Golub and Van Loan, Matrix Computations, algorithm 11.5.1, preconditioned by the diagonal. */
  #conjugateGradients(right: Float64Array, solution: Float64Array): Float64Array {
    const size = right.length;
    const diagonal = this.#diagonal();
    const rest = new Float64Array(size);
    const direction = new Float64Array(size);
    const product = new Float64Array(size);
    this.#multiply(solution, product);
    for (let at = 0; at < size; at++) rest[at] = right[at]! - product[at]!;
    const enough = TOLERANCE ** 2 * dot(right, right);
    let before = Infinity;
    for (let step = 0; step < MAX_STEPS && dot(rest, rest) > enough; step++) {
      let now = 0;
      for (let at = 0; at < size; at++) now += rest[at]! ** 2 / diagonal[at]!;
      const share = now / before;
      for (let at = 0; at < size; at++) direction[at] = rest[at]! / diagonal[at]! + share * direction[at]!;
      this.#multiply(direction, product);
      const length = now / dot(direction, product);
      for (let at = 0; at < size; at++) {
        solution[at]! += length * direction[at]!;
        rest[at]! -= length * product[at]!;
      }
      before = now;
    }
    return solution;
  }

  /** Writes A times a vector into `product`. */
  #multiply(vector: Float64Array, product: Float64Array): void {
    const { size, pixelCounts } = this.#grid;
    const [scale, mass, scaled] = [this.#scale, this.#mass, this.#scaled];
    const [smoothness, confidence] = [this.#smoothness, this.#confidence];
    for (let cell = 0; cell < size; cell++) scaled[cell] = scale[cell]! * vector[cell]!;
    this.#grid.blur(scaled, product);
    for (let cell = 0; cell < size; cell++) {
      const smooth = mass[cell]! * vector[cell]! - scale[cell]! * product[cell]!;
      product[cell] = smoothness * smooth + confidence * pixelCounts[cell]! * vector[cell]!;
    }
  }

  #diagonal(): Float64Array {
    const { pixelCounts } = this.#grid;
    return this.#mass.map((mass, cell) => {
      const smooth = mass - 2 * AXES * this.#scale[cell]! ** 2;
      return this.#smoothness * smooth + this.#confidence * pixelCounts[cell]!;
    });
  }
}

function dot(first: Float64Array, second: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < first.length; at++) sum += first[at]! * second[at]!;
  return sum;
}
