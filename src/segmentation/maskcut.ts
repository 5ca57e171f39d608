import type { Grid } from '../inference/features.js';
import { binaryAffinity } from './affinity.js';
import { assertKeyShape, assertObjects, keyRows, type KeyFeatures, type KeyMask } from './key-features.js';
import { Cut, cutVector, isUniform, type CutPart, type Side } from './normalised-cut.js';
import { describePatch } from './seed-component.js';
import { assertTau } from './tokencut.js';

export interface MaskCutOptions extends KeyFeatures {
  /** Most objects wanted, 1..10; default 3. */
  readonly objects?: number;
  /** Two patches are alike when the cosine of their keys is above this, -1..1; default 0.15. */
  readonly tau?: number;
}

/** An object after the first that overlaps the one before by more than this is none. */
const MOST_OVERLAP = 0.5;
/** An object after the first that holds no more than this share of the patches is none. */
const LEAST_SHARE = 0.01;

/**
 * Several objects of an image: the patches are cut as by TokenCut, what was found is taken out of the graph, and the
 * rest is cut again. The foreground is the side of the entry that is largest by absolute value, or the other side
 * where that holds three or four of the image's corners; the object is the part that hangs together with the largest
 * entry of the foreground. The first object that overlaps the one before (intersection over union above 0.5), holds
 * at most 1 % of the patches, or holds nothing new, ends the search.
 * Source: MaskCut of CutLER (https://arxiv.org/abs/2301.11320), section 3.2, and `maskcut_forward` in
 * https://github.com/facebookresearch/CutLER. There the corners are counted on the side that an eigenvector's sign,
 * which is arbitrary, happens to make positive; here always on the side of the largest entry. Equal entries are
 * treated as by TokenCut.
 *
 * @returns masks in the order found, which don't overlap, each with the share of its side's distance from the mean
 *   that lies in it as score; none where the graph has nothing to part
 * @throws DinoError `invalid-request` for a tau outside -1..1, a number of objects that is no whole number 1..10, and
 *   for more than 4096 patches
 * @throws RangeError for keys that are not finite or don't fit the grid
 */
export function maskCutMasks(options: MaskCutOptions): KeyMask[] {
  const { dimension, grid, objects = 3, tau = 0.15 } = options;
  assertTau(tau);
  assertObjects(objects);
  assertKeyShape(options);
  const affinity = binaryAffinity({ rows: keyRows(options, { unit: true }), dimension, above: tau });
  const taken = new Uint8Array(affinity.size);
  const masks: KeyMask[] = [];
  let previous = new Uint8Array(affinity.size);
  while (masks.length < objects && !isUniform(affinity, taken)) {
    const { vector, value } = cutVector(affinity);
    const { seed, cells, area, score } = foregroundPart(new Cut(vector, grid), grid);
    const isFirst = masks.length === 0;
    if (!isFirst && (overlap(cells, previous) > MOST_OVERLAP || area <= LEAST_SHARE * cells.length)) break;
    const fresh = cells.map((inside, patch) => (taken[patch] === 0 ? inside : 0));
    if (!fresh.includes(1)) break;
    const reason =
      `Cut ${masks.length + 1} of the graph (value ${Math.max(0, 1 - value).toFixed(3)}), around the patch that ` +
      `stands out most (${describePatch(seed, grid)}): ${Math.round(100 * score)} % of what stands out on its side ` +
      'hangs together with it.';
    masks.push({ head: null, score, cells: fresh, reason });
    fresh.forEach((inside, patch) => {
      if (inside === 0) return;
      taken[patch] = 1;
      affinity.isolate(patch);
    });
    previous = Uint8Array.from(cells);
  }
  return masks;
}

function foregroundPart(cut: Cut, grid: Grid): CutPart {
  const sides = new Set<Side>();
  for (const peak of cut.peaks()) {
    const side = cut.sideOf(peak);
    sides.add(cornersIn(cut.foreground(side), grid) >= 3 ? (-side as Side) : side);
  }
  const seeds = [...sides].flatMap((side) => cut.peaksOf(side).map((seed) => ({ seed, side })));
  return cut.largestPart(seeds);
}

/** How many corners of the image are inside; in a single row or column of patches each counts twice. */
function cornersIn(cells: Uint8Array, { width }: Grid): number {
  const corners = [0, width - 1, cells.length - width, cells.length - 1];
  return corners.reduce((count, patch) => count + cells[patch]!, 0);
}

/** Intersection over union. */
function overlap(first: Uint8Array, second: Uint8Array): number {
  let [both, either] = [0, 0];
  first.forEach((inside, patch) => {
    both += inside & second[patch]!;
    either += inside | second[patch]!;
  });
  return both / either;
}
