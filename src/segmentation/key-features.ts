import { DinoError } from '../errors.js';
import type { Grid } from '../inference/features.js';
import type { AttentionMask } from './attention-mask.js';

/** The last block's keys of one image. */
export interface KeyFeatures {
  /** [n, dimension], n = grid.height * grid.width patches row by row, any finite numbers. */
  readonly keys: Float32Array;
  /** Length of one patch's key. */
  readonly dimension: number;
  readonly grid: Grid;
}

/** The object that a method found among the keys; no attention head is behind it. */
export interface KeyMask extends AttentionMask {
  readonly head: null;
}

/** More patches than this are refused: time and memory grow with their square. */
export const MAX_PATCHES = 4096;

/**
 * @throws DinoError `invalid-request` for more than {@link MAX_PATCHES} patches
 * @throws RangeError when the number of keys doesn't fit the grid
 */
export function assertKeyShape({ keys, dimension, grid }: KeyFeatures): void {
  const patches = grid.height * grid.width;
  if (patches > MAX_PATCHES) {
    const detail =
      `${grid.width} x ${grid.height} patches are too many to compare each with each: ` +
      `at most ${MAX_PATCHES}. Ask for a smaller size.`;
    throw new DinoError('invalid-request', detail);
  }
  if (!(dimension >= 1) || keys.length !== patches * dimension) {
    throw new RangeError(`${keys.length} numbers for ${patches} keys of ${dimension}`);
  }
}

/**
 * The keys in double precision.
 *
 * @param options.unit whether each key is divided by its length; a key of zeros stays one
 * @throws RangeError for keys that are not finite
 */
export function keyRows(features: KeyFeatures, options: { unit: boolean }): Float64Array {
  const { keys, dimension } = features;
  const rows = Float64Array.from(keys);
  for (let start = 0; start < rows.length; start += dimension) {
    let square = 0;
    for (let at = start; at < start + dimension; at++) square += rows[at]! * rows[at]!;
    if (!(square < Infinity)) throw new RangeError(`the key of patch ${start / dimension} is not finite`);
    const length = Math.sqrt(square);
    if (!options.unit || length === 0) continue;
    for (let at = start; at < start + dimension; at++) rows[at]! /= length;
  }
  return rows;
}

/** Most objects that a method is asked for. */
export const MAX_OBJECTS = 10;

/** @throws DinoError `invalid-request` for a number of objects that is no whole number 1..10 */
export function assertObjects(objects: number): void {
  if (Number.isInteger(objects) && objects >= 1 && objects <= MAX_OBJECTS) return;
  const detail = `objects is a whole number, 1 to ${MAX_OBJECTS}, not ${objects}.`;
  throw new DinoError('invalid-request', detail);
}
