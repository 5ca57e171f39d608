import { largestComponent } from './connected-component.js';
import { DenseAffinity } from './dense-affinity.js';
import { nextEigenvectors } from './eigenvector.js';
import { assertKeyShape, assertObjects, keyRows, type KeyFeatures, type KeyMask } from './key-features.js';
import { shareKept } from './seed-component.js';

export interface DeepSpectralOptions extends KeyFeatures {
  /** How many eigenvectors, and so parts at most, 1..10; default 3. */
  readonly objects?: number;
}

/** Least weight of an edge. */
const EPSILON = 1e-5;

/** Cosines of float32 keys are no more exact than this. */
const FLAT = 1e-6;

/** Entries of an eigenvector below this share of its largest count as 0. */
const LEVEL = 1e-9;

/**
 * The parts that an image falls into: eigensegments of its patches' graph. Every two patches are joined by an edge
 * that weighs the cosine of their keys, where that is above 0. Each eigenvector of (D - W) y = lambda D y after the
 * constant one, in order of its eigenvalue, parts the patches at 0: the sign of fewer patches is the segment, and the
 * largest part of it that hangs together the mask. Masks of different eigenvectors may overlap.
 * Source: Deep Spectral Methods (https://arxiv.org/abs/2205.07839), sections 3.1 to 3.3, and `extract.py` of
 * https://github.com/lukemelas/deep-spectral-segmentation with its defaults: no affinity of colours. An edge weighs
 * at least 1e-5 here, since the eigenvectors of a graph in several pieces are not determined; of two signs with as
 * many patches the one that comes later row by row is the segment.
 *
 * @returns a mask for each eigenvector, its score the share of the segment's weight that lies in it; none where all
 *   edges weigh the same
 * @throws DinoError `invalid-request` for a number of objects that is no whole number 1..10, and for more than
 *   4096 patches
 * @throws RangeError for keys that are not finite or don't fit the grid
 */
export function deepSpectralMasks(options: DeepSpectralOptions): KeyMask[] {
  const { dimension, grid, objects = 3 } = options;
  assertObjects(objects);
  assertKeyShape(options);
  const affinity = new DenseAffinity({ rows: keyRows(options, { unit: true }), dimension, floor: EPSILON });
  const [least, most] = affinity.range();
  if (!(most - least > FLAT)) return [];
  const rootDegrees = affinity.rowSums().map(Math.sqrt);
  const scaled = new Float64Array(affinity.size);
  const multiply = (vector: Float64Array, product: Float64Array) => {
    for (let at = 0; at < scaled.length; at++) scaled[at] = vector[at]! / rootDegrees[at]!;
    affinity.multiply(scaled, product);
    for (let at = 0; at < scaled.length; at++) product[at]! /= rootDegrees[at]!;
  };
  const pairs = nextEigenvectors({ multiply, first: rootDegrees }, objects);
  return pairs.map(({ vector, value }, index) => {
    const entries = vector.map((entry, at) => entry / rootDegrees[at]!);
    const segment = smallerSide(entries);
    const { cells } = largestComponent(segment, grid);
    const score = shareKept(segment, cells, (patch) => Math.abs(entries[patch]!));
    const reason =
      `The smaller side of eigenvector ${index + 1} (eigenvalue ${Math.max(0, 1 - value).toFixed(3)}): ` +
      `${Math.round(100 * score)} % of what stands out on it hangs together.`;
    return { head: null, score, cells, reason };
  });
}

/** The sign with fewer entries; of equally many, the one that comes later. */
function smallerSide(entries: Float64Array): Uint8Array {
  const level = LEVEL * entries.reduce((most, entry) => Math.max(most, Math.abs(entry)), 0);
  const positive = Uint8Array.from(entries, (entry) => (entry > level ? 1 : 0));
  const negative = Uint8Array.from(entries, (entry) => (entry < -level ? 1 : 0));
  const difference = count(positive) - count(negative);
  const isPositive = difference === 0 ? positive.indexOf(1) > negative.indexOf(1) : difference < 0;
  return isPositive ? positive : negative;
}

function count(cells: Uint8Array): number {
  return cells.reduce((sum, inside) => sum + inside, 0);
}
