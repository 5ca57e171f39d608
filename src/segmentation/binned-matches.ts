import { DinoError } from '../errors.js';
import type { Grid } from '../inference/features.js';
import {
  assertAlike,
  BestBothWays,
  sizeOf,
  type MatchesBothWays,
  type PatchFeatures,
} from './best-matches.js';
import { BLOCK, multiplyBlock, padRows } from './dot-block.js';
import { keyRows } from './key-features.js';

/** Two matrices of so many squared numbers are held. */
export const MAX_BINNED_PATCHES = 2304;

/** Where the bins of a patch lie: the 3 x 3 patches around it, and around these 8 means of 3 x 3 patches. */
const FINE = steps(1, true);
const COARSE = steps(3, false);

/**
 * As `bestMatches`, of descriptors that hold a patch's surroundings: the features of the 3 x 3 patches around it and
 * the mean features of the 8 squares of 3 x 3 patches around these, 17 bins one after the other; beyond the image's
 * edge lies its outermost patch, and means leave out what is beyond it.
 * Source: log-binned descriptors of Amir et al. (https://arxiv.org/abs/2112.05814), `_log_bin` with two levels in
 * https://github.com/ShirAmir/dino-vit-features. The descriptors are never laid out: the dot product of two is a sum
 * of 17 entries of two matrices, that of the features and that of their means.
 *
 * @throws DinoError `invalid-request` for more than 2304 patches in an image
 * @throws RangeError as `bestMatches`
 */
export function binnedMatches(first: PatchFeatures, second: PatchFeatures): MatchesBothWays {
  assertAlike(first, second);
  assertBinnable(first.grid);
  assertBinnable(second.grid);
  const rows = new Levels(first);
  const columns = new Levels(second);
  const best = new BestBothWays(sizeOf(first), sizeOf(second));
  const levels = [
    { products: productsOf(rows.fine, columns.fine, first.dimension), bins: FINE },
    { products: productsOf(rows.coarse, columns.coarse, first.dimension), bins: COARSE },
  ].map(({ products, bins }) => ({
    products,
    bins: bins.map((step) => ({ from: neighbours(first.grid, step), to: neighbours(second.grid, step) })),
  }));
  const sums = new Float64Array(best.columns);
  for (let row = 0; row < best.rows; row++) {
    sums.fill(0);
    for (const { products, bins } of levels) {
      for (const { from, to } of bins) {
        addPicked(sums, products.subarray(from[row]! * sums.length, (from[row]! + 1) * sums.length), to);
      }
    }
    for (let column = 0; column < sums.length; column++) {
      const lengths = rows.lengths[row]! * columns.lengths[column]!;
      best.offer(row, column, lengths === 0 ? 0 : sums[column]! / lengths);
    }
  }
  return best.matches();
}

/** @throws DinoError `invalid-request` for more than 2304 patches */
export function assertBinnable(grid: Grid): void {
  if (grid.height * grid.width <= MAX_BINNED_PATCHES) return;
  const detail =
    `${grid.width} x ${grid.height} patches are too many for binned descriptors: at most ${MAX_BINNED_PATCHES}. ` +
    'Ask for a smaller size.';
  throw new DinoError('invalid-request', detail);
}

/** The features of an image and their means over 3 x 3 patches, and the lengths of the descriptors. */
class Levels {
  readonly fine: Float64Array;
  readonly coarse: Float64Array;
  readonly lengths: Float64Array;

  constructor({ values, dimension, grid }: PatchFeatures) {
    this.fine = keyRows({ keys: values, dimension, grid }, { unit: false });
    this.coarse = meansAround(this.fine, dimension, grid);
    this.lengths = new Float64Array(grid.height * grid.width);
    for (const [rows, bins] of [
      [this.fine, FINE],
      [this.coarse, COARSE],
    ] as const) {
      const squares = this.lengths.map((_, patch) => squareOf(rows, dimension, patch));
      for (const step of bins) {
        neighbours(grid, step).forEach((patch, at) => (this.lengths[at]! += squares[patch]!));
      }
    }
    this.lengths.forEach((square, patch) => (this.lengths[patch] = Math.sqrt(square)));
  }
}

type Step = readonly [down: number, right: number];

/** The 8 directions, `distance` patches away, and the middle where it is wanted. */
function steps(distance: number, withMiddle: boolean): Step[] {
  const along = [-distance, 0, distance];
  return along
    .flatMap((down) => along.map((right): Step => [down, right]))
    .filter(([down, right]) => withMiddle || down !== 0 || right !== 0);
}

/** Which patch lies a step away from each, or at the edge where the step leads beyond it. */
function neighbours({ height, width }: Grid, [down, right]: Step): Uint32Array {
  const clamp = (index: number, length: number) => Math.min(Math.max(index, 0), length - 1);
  return Uint32Array.from({ length: height * width }, (_, patch) => {
    const row = clamp(Math.floor(patch / width) + down, height);
    return row * width + clamp((patch % width) + right, width);
  });
}

function meansAround(rows: Float64Array, dimension: number, { height, width }: Grid): Float64Array {
  const means = new Float64Array(rows.length);
  for (let patch = 0; patch < height * width; patch++) {
    const [row, column] = [Math.floor(patch / width), patch % width];
    const [top, bottom] = [Math.max(row - 1, 0), Math.min(row + 1, height - 1)];
    const [left, right] = [Math.max(column - 1, 0), Math.min(column + 1, width - 1)];
    const share = 1 / ((bottom - top + 1) * (right - left + 1));
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) {
        const from = (y * width + x) * dimension;
        for (let at = 0; at < dimension; at++) means[patch * dimension + at]! += share * rows[from + at]!;
      }
    }
  }
  return means;
}

/** Adds to each sum the entry that `from` names. A function of its own, which is compiled for these arrays alone. */
function addPicked(sums: Float64Array, entries: Float64Array, from: Uint32Array): void {
  for (let at = 0; at < sums.length; at++) sums[at]! += entries[from[at]!]!;
}

function squareOf(rows: Float64Array, dimension: number, patch: number): number {
  let square = 0;
  for (let at = patch * dimension; at < (patch + 1) * dimension; at++) square += rows[at]! * rows[at]!;
  return square;
}

/** All dot products, row by row. */
function productsOf(first: Float64Array, second: Float64Array, dimension: number): Float64Array {
  const [rows, columns] = [first.length / dimension, second.length / dimension];
  const padded = [padRows(first, dimension), padRows(second, dimension)] as const;
  const all = new Float64Array(rows * columns);
  const products = new Float64Array(BLOCK * BLOCK);
  for (let row = 0; row < rows; row += BLOCK) {
    for (let column = 0; column < columns; column += BLOCK) {
      multiplyBlock({ first: padded[0], second: padded[1], dimension, row, column }, products);
      const width = Math.min(BLOCK, columns - column);
      for (let down = 0; down < Math.min(BLOCK, rows - row); down++) {
        for (let right = 0; right < width; right++) {
          all[(row + down) * columns + column + right] = products[down * BLOCK + right]!;
        }
      }
    }
  }
  return all;
}
