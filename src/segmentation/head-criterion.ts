import type { Grid } from '../inference/features.js';
import { largestComponent } from './connected-component.js';

/** A head's attention and the mask made of it. */
export interface HeadMask {
  /** Values >= 0, one a patch, row by row. */
  readonly attention: Float32Array;
  /** One byte a patch; any value but 0 is inside. */
  readonly cells: Uint8Array;
  readonly grid: Grid;
}

/** What {@link scoreHead} measures, for sentences. */
export const describeCriterion = "share of the mask's attention in one connected part";

/**
 * How much a head's mask looks like one object: the share of the mask's attention that lies in its largest
 * connected part, 0..1; 0 for an empty mask. Computed from the attention alone.
 */
export function scoreHead({ attention, cells, grid }: HeadMask): number {
  let held = 0;
  cells.forEach((inside, patch) => {
    if (inside !== 0) held += attention[patch]!;
  });
  if (held === 0) return 0;
  return Math.min(1, largestComponent(cells, grid, attention).weight / held);
}
