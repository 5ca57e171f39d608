import { DinoError } from '../errors.js';
import type { Grid } from '../inference/features.js';
import { binaryAffinity } from './affinity.js';
import type { BitMatrix } from './bit-matrix.js';
import { secondEigenvector } from './eigenvector.js';
import { assertKeyShape, keyRows, type KeyFeatures, type KeyMask } from './key-features.js';
import { componentOf, describePatch, shareKept } from './seed-component.js';

export interface TokenCutOptions extends KeyFeatures {
  /** Two patches are alike when the cosine of their keys is above this, -1..1; default 0.2. */
  readonly tau?: number;
}

/** Weight of the edge between patches that are not alike. */
const EPSILON = 1e-5;

/** Entries of the eigenvector that differ by less than these shares of the largest count as equal. */
const TIE = 1e-6;
const LEVEL = 1e-9;

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
  const { vector: cut, value } = cutVector(affinity);
  const { seed, cells, score } = largestPart(cut, grid);
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

/**
 * The second smallest generalised eigenvector of (D - W) y = lambda D y, as D^-1/2 z with z the second largest
 * eigenvector of D^-1/2 W D^-1/2; `value` is 1 - lambda. The largest is known: z = D^1/2 1, lambda = 0.
 *
 * @param affinity pairs whose weight is 1; all others weigh 1e-5
 */
export function cutVector(affinity: BitMatrix): { vector: Float64Array; value: number } {
  const size = affinity.size;
  const rootDegrees = Float64Array.from(affinity.rowCounts(), (count) =>
    Math.sqrt(count + EPSILON * (size - count)),
  );
  const scaled = new Float64Array(size);
  const multiply = (vector: Float64Array, product: Float64Array) => {
    let sum = 0;
    for (let at = 0; at < size; at++) {
      scaled[at] = vector[at]! / rootDegrees[at]!;
      sum += scaled[at]!;
    }
    affinity.multiply(scaled, product);
    for (let at = 0; at < size; at++) {
      product[at] = ((1 - EPSILON) * product[at]! + EPSILON * sum) / rootDegrees[at]!;
    }
  };
  const { vector, value } = secondEigenvector({ multiply, first: rootDegrees });
  return { vector: vector.map((entry, at) => entry / rootDegrees[at]!), value };
}

/** Every two patches are joined, or no two: the second eigenvector is then any vector. */
function isUniform(affinity: BitMatrix): boolean {
  const size = affinity.size;
  let joined = 0;
  affinity.rowCounts().forEach((count, patch) => (joined += count - (affinity.has(patch, patch) ? 1 : 0)));
  return joined === 0 || joined === size * (size - 1);
}

/** Where the entries lie that are largest by absolute value: patches alike to the same others have equal ones. */
function largestEntries(vector: Float64Array): number[] {
  const largest = vector.reduce((most, entry) => Math.max(most, Math.abs(entry)), 0);
  return Array.from(vector.keys()).filter((patch) => Math.abs(vector[patch]!) >= largest * (1 - TIE));
}

interface Part {
  readonly seed: number;
  readonly cells: Uint8Array;
  /** Patches. */
  readonly area: number;
  readonly score: number;
}

/** Of the parts around the entries that are largest by absolute value the one with the most patches. */
function largestPart(cut: Float64Array, grid: Grid): Part {
  const mean = cut.reduce((sum, entry) => sum + entry, 0) / cut.length;
  const parts: Part[] = [];
  for (const seed of largestEntries(cut)) {
    const isKnown = parts.some(({ cells }) => cells[seed] !== 0);
    if (!isKnown) parts.push(partAround(seed, cut, mean, grid));
  }
  return parts.reduce((best, part) => (part.area > best.area ? part : best));
}

/** The patches on the seed's side of the cut that hang together with it. */
function partAround(seed: number, cut: Float64Array, mean: number, grid: Grid): Part {
  const side = Math.sign(cut[seed]! - mean);
  const level = LEVEL * Math.abs(cut[seed]!);
  const foreground = Uint8Array.from(cut, (entry) => (side * (entry - mean) > level ? 1 : 0));
  const cells = componentOf(foreground, grid, seed);
  const area = cells.reduce((count, inside) => count + inside, 0);
  return { seed, cells, area, score: shareKept(foreground, cells, (patch) => side * (cut[patch]! - mean)) };
}
