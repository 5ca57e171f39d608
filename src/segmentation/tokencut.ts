import { DinoError } from '../errors.js';
import { binaryAffinity } from './affinity.js';
import { assertKeyShape, keyRows, type KeyFeatures, type KeyMask } from './key-features.js';
import { Cut, cutVector, isUniform } from './normalised-cut.js';
import { describePatch } from './seed-component.js';

export interface TokenCutOptions extends KeyFeatures {
  /** Two patches are alike when the cosine of their keys is above this, -1..1; default 0.2. */
  readonly tau?: number;
}

/**
 * The object of an image by a normalised cut of its patches. Every two patches are joined by an edge of weight 1
 * where the cosine of their keys is above `tau`, else 1e-5. The second smallest eigenvector of
 * (D - W) y = lambda D y parts the patches at its mean; the side of the entry that is largest by absolute value is
 * the foreground, and of it the part that hangs together with that entry's patch is the mask.
 * Source: TokenCut (https://arxiv.org/abs/2202.11539), and `ncut` in
 * `object_discovery.py` of https://github.com/YangtaoWANG95/TokenCut. Where several entries are equally large,
 * rounding decides there; here it is the largest of their parts, and of equal parts the first row by row.
 *
 * @returns one mask, its score the share of the foreground's distance from the mean that lies in it; none where
 *   the graph has nothing to part: all patches alike, or no two of them
 * @throws DinoError `invalid-request` for a tau outside -1..1 and for more than 4096 patches
 * @throws RangeError for keys that are not finite or don't fit the grid
 */
export function tokenCutMasks(options: TokenCutOptions): KeyMask[] {
  const { dimension, grid, tau = 0.2 } = options;
  assertTau(tau);
  assertKeyShape(options);
  const affinity = binaryAffinity({ rows: keyRows(options, { unit: true }), dimension, above: tau });
  if (isUniform(affinity)) return [];
  const { vector, value } = cutVector(affinity);
  const cut = new Cut(vector, grid);
  const seeds = cut.peaks().map((seed) => ({ seed, side: cut.sideOf(seed) }));
  const { seed, cells, score } = cut.largestPart(seeds);
  const reason =
    `The side of the normalised cut (value ${Math.max(0, 1 - value).toFixed(3)}) with the patch that stands out ` +
    `most (${describePatch(seed, grid)}): ${Math.round(100 * score)} % of what stands out on that side hangs ` +
    'together with it.';
  return [{ head: null, score, cells, reason }];
}

/** @throws DinoError `invalid-request` for a tau outside -1..1 */
export function assertTau(tau: number): void {
  if (tau >= -1 && tau <= 1) return;
  throw new DinoError('invalid-request', `tau is a cosine, -1 to 1, not ${tau}.`);
}
