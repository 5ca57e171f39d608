import type { Grid } from '../inference/features.js';
import { expandMask } from '../vision/grid-cover.js';
import type { Pixels } from '../vision/pixels.js';
import { BilateralGrid } from './bilateral-grid.js';
import { BilateralSolver } from './bilateral-solver.js';

export interface RefineOptions {
  /** The photo, at the size at which the masks are wanted. */
  readonly pixels: Pixels;
  readonly grid: Grid;
  /** Masks of patches, row by row: one byte a patch, 1 inside and 0 outside. */
  readonly masks: readonly Uint8Array[];
}

export interface RefinedMask {
  /** One byte a pixel, row by row, 1 inside and 0 outside. */
  readonly pixels: Uint8Array;
  /** false where the solver lost the object, and the mask is the one of patches. */
  readonly isRefined: boolean;
}

/** In levels of 0..255. */
const LUMA = 16;
const CHROMA = 8;

/** A refined mask that shares less than this with the mask of patches, as intersection over union, is none of it. */
const LEAST_OVERLAP = 0.5;

/**
 * Moves the edges of masks of patches to the edges of the photo, by the fast bilateral solver: the target is the
 * mask, trusted equally everywhere, and a pixel is inside where the solution is above 0.5. Cells of the grid are as
 * wide as a patch, so that the result doesn't depend on the photo's size, and as fine in colour as in the code of
 * TokenCut (https://github.com/YangtaoWANG95/TokenCut), where they are 16 px wide, as a patch is there. As there, a
 * refined mask that has lost most of the object is given up; unlike there, holes and separate parts stay.
 */
export function refineMasks({ pixels, grid, masks }: RefineOptions): RefinedMask[] {
  const { width, height } = pixels;
  const patchArea = (width / grid.width) * (height / grid.height);
  const spatial = Math.max(1, Math.sqrt(patchArea));
  const cells = new BilateralGrid(pixels, { spatial, luma: LUMA, chroma: CHROMA });
  const solver = new BilateralSolver(cells);
  return masks.map((mask) => {
    const coarse = expandMask({ cells: mask, grid, width, height });
    const solution = solver.solve(coarse);
    const refined = Uint8Array.from(cells.cellOf, (cell) => (solution[cell]! > 0.5 ? 1 : 0));
    const isRefined = overlap(refined, coarse) >= LEAST_OVERLAP;
    return { pixels: isRefined ? refined : coarse, isRefined };
  });
}

/** Intersection over union; 1 where both are empty. */
function overlap(first: Uint8Array, second: Uint8Array): number {
  let [both, either] = [0, 0];
  for (let at = 0; at < first.length; at++) {
    both += first[at]! & second[at]!;
    either += first[at]! | second[at]!;
  }
  return either === 0 ? 1 : both / either;
}
