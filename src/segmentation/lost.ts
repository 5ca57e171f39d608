import { binaryAffinity } from './affinity.js';
import { DinoError } from '../errors.js';
import { assertKeyShape, keyRows, type KeyFeatures, type KeyMask } from './key-features.js';
import { componentOf, describePatch, shareKept } from './seed-component.js';

export interface LostOptions extends KeyFeatures {
  /** How many of the patches with the lowest degree the seed may be joined by, from 1; default 100. */
  readonly candidates?: number;
}

/**
 * The object of an image grown from its least common patch. The degree of a patch is how many other patches its
 * key correlates with (dot product above 0). The seed is the patch of lowest degree; with it go those of the 100
 * patches of lowest degree that correlate with it. The mask is made of the patches whose summed similarity to
 * these is above 0, as far as they hang together with the seed.
 * Source: LOST (https://arxiv.org/abs/2109.14279), and `lost` in `object_discovery.py` of
 * https://github.com/valeoai/LOST. Of equal degrees the first patch row by row comes first.
 *
 * @returns one mask, its score the share of the positive summed similarity that lies in it; none where nothing is
 *   set apart: the mask would hold every patch, or the seed's key is zero
 * @throws DinoError `invalid-request` for a number of candidates that is no whole number from 1, and for more than
 *   4096 patches
 * @throws RangeError for keys that are not finite or don't fit the grid
 */
export function lostMasks(options: LostOptions): KeyMask[] {
  const { dimension, grid, candidates = 100 } = options;
  assertCandidates(candidates);
  assertKeyShape(options);
  const rows = keyRows(options, { unit: false });
  const correlated = binaryAffinity({ rows, dimension, above: 0 });
  const degrees = correlated
    .rowCounts()
    .map((count, patch) => count - (correlated.has(patch, patch) ? 1 : 0));
  // Sorting is stable.
  const ascending = Array.from(degrees.keys()).sort((first, second) => degrees[first]! - degrees[second]!);
  const seed = ascending[0]!;
  const expanded = ascending.slice(0, candidates).filter((patch) => correlated.has(seed, patch));
  const similarity = summedSimilarity(rows, dimension, expanded);
  const foreground = Uint8Array.from(similarity, (value) => (value > 0 ? 1 : 0));
  if (foreground[seed] === 0 || !foreground.includes(0)) return [];
  const cells = componentOf(foreground, grid, seed);
  const score = shareKept(foreground, cells, (patch) => similarity[patch]!);
  const reason =
    `Grown from the patch that is like the fewest others (${describePatch(seed, grid)}: ` +
    `${degrees[seed]!} of ${degrees.length - 1}) and ${expanded.length - 1} patches like it.`;
  return [{ head: null, score, cells, reason }];
}

/** @throws DinoError `invalid-request` for a number that is no whole number from 1 */
export function assertCandidates(candidates: number): void {
  if (Number.isInteger(candidates) && candidates >= 1) return;
  const detail = `The number of candidates is a whole number from 1, not ${candidates}.`;
  throw new DinoError('invalid-request', detail);
}

/** Of every row the sum of its dot products with some of them: its dot product with their sum. */
function summedSimilarity(rows: Float64Array, dimension: number, expanded: readonly number[]): Float64Array {
  const total = new Float64Array(dimension);
  for (const patch of expanded) {
    for (let at = 0; at < dimension; at++) total[at]! += rows[patch * dimension + at]!;
  }
  const similarity = new Float64Array(rows.length / dimension);
  for (let patch = 0; patch < similarity.length; patch++) {
    for (let at = 0; at < dimension; at++) similarity[patch]! += rows[patch * dimension + at]! * total[at]!;
  }
  return similarity;
}
