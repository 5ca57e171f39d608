import { BLOCK, multiplyBlock, padRows } from './dot-block.js';
import { keyRows } from './key-features.js';
import type { Grid } from '../inference/features.js';

/** One feature of every patch of an image. */
export interface PatchFeatures {
  /** [n, dimension], n = grid.height * grid.width patches row by row, any finite numbers. */
  readonly values: Float32Array;
  /** Length of one patch's feature. */
  readonly dimension: number;
  readonly grid: Grid;
}

/** For every patch of one image the patch of another that is most like it. */
export interface Matches {
  /** Patch of the other image, counted row by row. */
  readonly patches: Uint32Array;
  /** Cosine, -1..1; 0 for a patch whose feature is zero. */
  readonly scores: Float32Array;
}

/** The best matches in both directions. */
export interface MatchesBothWays {
  /** Of the first image's patches in the second. */
  readonly first: Matches;
  /** Of the second image's patches in the first. */
  readonly second: Matches;
}

/**
 * For every patch of two images the patch of the other with the largest cosine of their features; of equal ones the
 * first row by row. All pairs are compared: n1 * n2 dot products.
 *
 * @throws RangeError for features that are not finite or of two lengths
 */
export function bestMatches(first: PatchFeatures, second: PatchFeatures): MatchesBothWays {
  assertAlike(first, second);
  const { dimension } = first;
  const rows = padRows(unitRows(first), dimension);
  const columns = padRows(unitRows(second), dimension);
  const best = new BestBothWays(sizeOf(first), sizeOf(second));
  const products = new Float64Array(BLOCK * BLOCK);
  for (let row = 0; row < best.rows; row += BLOCK) {
    for (let column = 0; column < best.columns; column += BLOCK) {
      multiplyBlock({ first: rows, second: columns, dimension, row, column }, products);
      for (let entry = 0; entry < products.length; entry++) {
        best.offer(row + Math.floor(entry / BLOCK), column + (entry % BLOCK), products[entry]!);
      }
    }
  }
  return best.matches();
}

/** Keeps the largest of each row and of each column of a matrix that comes entry by entry, both ascending. */
export class BestBothWays {
  readonly rows: number;
  readonly columns: number;
  readonly #rowBest: Float64Array;
  readonly #columnBest: Float64Array;
  readonly #rowPatch: Uint32Array;
  readonly #columnPatch: Uint32Array;

  constructor(rows: number, columns: number) {
    this.rows = rows;
    this.columns = columns;
    this.#rowBest = new Float64Array(rows).fill(-Infinity);
    this.#columnBest = new Float64Array(columns).fill(-Infinity);
    this.#rowPatch = new Uint32Array(rows);
    this.#columnPatch = new Uint32Array(columns);
  }

  /** An entry beyond the matrix is passed over: blocks end where they end. */
  offer(row: number, column: number, score: number): void {
    if (row >= this.rows || column >= this.columns) return;
    if (score > this.#rowBest[row]!) {
      this.#rowBest[row] = score;
      this.#rowPatch[row] = column;
    }
    if (score > this.#columnBest[column]!) {
      this.#columnBest[column] = score;
      this.#columnPatch[column] = row;
    }
  }

  matches(): MatchesBothWays {
    return {
      first: { patches: this.#rowPatch, scores: asCosines(this.#rowBest) },
      second: { patches: this.#columnPatch, scores: asCosines(this.#columnBest) },
    };
  }
}

/** Patches of an image. */
export function sizeOf({ grid }: PatchFeatures): number {
  return grid.height * grid.width;
}

/** @throws RangeError for features of two lengths */
export function assertAlike(first: PatchFeatures, second: PatchFeatures): void {
  if (first.dimension !== second.dimension) {
    throw new RangeError(`features of ${first.dimension} and of ${second.dimension} numbers`);
  }
}

function unitRows({ values, dimension, grid }: PatchFeatures): Float64Array {
  return keyRows({ keys: values, dimension, grid }, { unit: true });
}

/** A rounding error may lie beyond 1. */
function asCosines(scores: Float64Array): Float32Array {
  return Float32Array.from(scores, (score) => Math.min(1, Math.max(-1, score)));
}
