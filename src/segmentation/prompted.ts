import type { Grid } from '../inference/features.js';
import { largestComponent } from './connected-component.js';
import { assertKeyShape, keyRows, type KeyFeatures, type KeyMask } from './key-features.js';
import { otsuLevel } from './otsu.js';
import { componentOf, describePatch, shareKept } from './seed-component.js';

export interface PointOptions extends KeyFeatures {
  /** The patch that the click lies in, counted row by row. */
  readonly patch: number;
}

export interface BoxOptions extends KeyFeatures {
  /** Which patches the box holds: one byte a patch, 1 inside and 0 outside. */
  readonly box: Uint8Array;
}

/** A key this close to the mean key, as a share of its length, differs from it by rounding. */
const FLAT = 1e-6;

/**
 * The object under a click. Keys are taken from the image's mean key, since what all of them have in common tells
 * nothing apart, and scaled to length 1. The click stands for the patches around it, each as much as it is like the
 * clicked one. A first guess is what is like these, by Otsu's threshold, as far as it hangs together with the clicked
 * patch; the mask is what is more like the guess than like the rest, by the same two rules.
 * A method of our own, without a paper; docs/masks.md has its measurements.
 *
 * @returns one mask, which holds the patch; its score is the share of what is above the threshold that lies in it.
 *   None where nothing sets the patch apart
 * @throws DinoError `invalid-request` for more than 4096 patches
 * @throws RangeError for a patch outside the grid, and for keys that are not finite or don't fit the grid
 */
export function pointMasks(options: PointOptions): KeyMask[] {
  const { grid, dimension, patch } = options;
  assertKeyShape(options);
  if (!(patch >= 0 && patch < grid.height * grid.width)) throw new RangeError(`no patch ${patch}`);
  const rows = centredRows(options);
  const guess = partAbove(similarity(rows, clickedToken(rows, options)), grid, patch);
  if (guess === undefined || !guess.cells.includes(0)) return [];
  const found = partAbove(similarity(rows, difference(rows, dimension, guess.cells)), grid, patch);
  if (found === undefined) return [];
  const size = found.cells.reduce((sum, inside) => sum + inside, 0);
  const reason =
    `${size} of ${found.cells.length} patches are like the one under the point (${describePatch(patch, grid)}) ` +
    'and hang together with it.';
  return [{ head: null, ...found, reason }];
}

/**
 * The object in a box: the patches of the box that are more like the box's patches than like those around it, by
 * Otsu's threshold on the difference over the whole image; of them the largest part that hangs together. Keys as for
 * a point. A method of our own, without a paper; docs/masks.md has its measurements.
 *
 * @returns one mask within the box, its score the share of what is above the threshold in the box that lies in it;
 *   none where the box holds every patch, so that there is no ground to tell the object from, or nothing stands out
 * @throws DinoError `invalid-request` for more than 4096 patches
 * @throws RangeError for a box that doesn't fit the grid, and for keys that are not finite or don't
 */
export function boxMasks(options: BoxOptions): KeyMask[] {
  const { grid, dimension, box } = options;
  assertKeyShape(options);
  if (box.length !== grid.height * grid.width) throw new RangeError(`a box of ${box.length} patches`);
  if (!box.includes(0) || !box.includes(1)) return [];
  const rows = centredRows(options);
  const values = similarity(rows, difference(rows, dimension, box));
  const level = otsuLevel(values);
  if (level === undefined) return [];
  const above = box.map((inside, patch) => (inside === 1 && values[patch]! > level ? 1 : 0));
  const { cells, weight: size } = largestComponent(above, grid);
  if (size === 0) return [];
  const score = shareKept(above, cells, (patch) => values[patch]! - level);
  const held = box.reduce((sum, inside) => sum + inside, 0);
  const reason = `${size} of the ${held} patches of the box are unlike those around it and hang together.`;
  return [{ head: null, score, cells, reason }];
}

/** Directions of the keys from their mean; zeros for a key that does not differ from it. */
function centredRows(options: KeyFeatures): Float64Array {
  const rows = keyRows(options, { unit: false });
  const { dimension } = options;
  const mean = new Float64Array(dimension);
  rows.forEach((entry, at) => (mean[at % dimension]! += entry));
  for (let at = 0; at < dimension; at++) mean[at]! /= rows.length / dimension;
  for (let start = 0; start < rows.length; start += dimension) {
    let [before, after] = [0, 0];
    for (let at = 0; at < dimension; at++) {
      before += rows[start + at]! ** 2;
      rows[start + at]! -= mean[at]!;
      after += rows[start + at]! ** 2;
    }
    const isFlat = Math.sqrt(after) <= FLAT * Math.sqrt(before);
    const scale = isFlat ? 0 : 1 / Math.sqrt(after);
    for (let at = start; at < start + dimension; at++) rows[at]! *= scale;
  }
  return rows;
}

/** Sum of the patches around the clicked one, and itself, each weighed by how much it is like that. */
function clickedToken(rows: Float64Array, { grid, dimension, patch }: PointOptions): Float64Array {
  const clicked = rows.subarray(patch * dimension, (patch + 1) * dimension);
  const [row, column] = [Math.floor(patch / grid.width), patch % grid.width];
  const token = new Float64Array(dimension);
  for (let y = Math.max(0, row - 1); y <= Math.min(grid.height - 1, row + 1); y++) {
    for (let x = Math.max(0, column - 1); x <= Math.min(grid.width - 1, column + 1); x++) {
      const start = (y * grid.width + x) * dimension;
      const other = rows.subarray(start, start + dimension);
      const weight = Math.max(0, dot(clicked, other));
      other.forEach((entry, at) => (token[at]! += weight * entry));
    }
  }
  return token;
}

/** The mean of some rows less the mean of the others. */
function difference(rows: Float64Array, dimension: number, inside: Uint8Array): Float64Array {
  const [within, without] = [new Float64Array(dimension), new Float64Array(dimension)];
  const held = inside.reduce((sum, isIn) => sum + isIn, 0);
  rows.forEach((entry, at) => {
    const sums = inside[Math.floor(at / dimension)] === 1 ? within : without;
    sums[at % dimension]! += entry;
  });
  return within.map((sum, at) => sum / held - without[at]! / (inside.length - held));
}

function similarity(rows: Float64Array, token: Float64Array): Float64Array {
  const { length } = token;
  return Float64Array.from({ length: rows.length / length }, (_, patch) =>
    dot(rows.subarray(patch * length, (patch + 1) * length), token),
  );
}

/** The patches above Otsu's threshold that hang together with a patch, which is one of them. */
function partAbove(values: Float64Array, grid: Grid, patch: number) {
  const level = otsuLevel(values);
  if (level === undefined) return undefined;
  const above = Uint8Array.from(values, (value, at) => (value > level || at === patch ? 1 : 0));
  const cells = componentOf(above, grid, patch);
  return { cells, score: shareKept(above, cells, (at) => Math.max(0, values[at]! - level)) };
}

function dot(first: Float64Array, second: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < first.length; at++) sum += first[at]! * second[at]!;
  return sum;
}
