import type { Grid } from '../inference/features.js';
import { largestComponent } from './connected-component.js';

/**
 * The part of a mask that hangs together with one patch, patches touching by an edge (`scipy.ndimage.label`'s default).
 *
 * @param cells one byte a patch, row by row, 1 inside and 0 outside
 * @param seed a patch inside
 */
export function componentOf(cells: Uint8Array, grid: Grid, seed: number): Uint8Array {
  // The only part that weighs anything is the seed's.
  const weights = new Float32Array(cells.length);
  weights[seed] = 1;
  return largestComponent(cells, grid, weights).cells;
}

/**
 * How much of a foreground's weight lies in the part that was kept of it, 0..1: 1 when it is all in one piece.
 * The same measure as `scoreHead` for attention.
 *
 * @param weight of a patch, >= 0; asked only for patches of the foreground
 */
export function shareKept(
  foreground: Uint8Array,
  kept: Uint8Array,
  weight: (patch: number) => number,
): number {
  let [inside, all] = [0, 0];
  foreground.forEach((isForeground, patch) => {
    if (isForeground === 0) return;
    all += weight(patch);
    if (kept[patch] !== 0) inside += weight(patch);
  });
  return all === 0 ? 0 : Math.min(1, inside / all);
}

/** Where a patch lies, for sentences: counted from 1. */
export function describePatch(patch: number, grid: Grid): string {
  return `row ${Math.floor(patch / grid.width) + 1}, column ${(patch % grid.width) + 1}`;
}
