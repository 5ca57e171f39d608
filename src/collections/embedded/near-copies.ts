import type { VectorTable } from './vector-table.js';

/** Rounding of float32 vectors moves an angle by less than this; in radians. */
const MARGIN = 0.01;

/**
 * Tells whether an image is as near as the threshold to one that has been kept. The
 * scores spare comparisons: two images whose angles to the query differ by more than the threshold's
 * angle cannot be nearer to each other than that.
 */
export class NearCopies {
  private readonly kept: { readonly label: number; readonly angle: number }[] = [];
  private readonly reach: number;

  /** @param threshold cosine from which two images are copies of each other */
  constructor(
    private readonly vectors: VectorTable,
    private readonly threshold: number,
  ) {
    this.reach = Math.acos(threshold) + MARGIN;
  }

  /** @param score of `label` with the query */
  has(label: number, score: number): boolean {
    const angle = Math.acos(score);
    const near = this.kept.filter((other) => Math.abs(angle - other.angle) <= this.reach);
    const similarities = this.vectors.similarities(
      label,
      near.map((other) => other.label),
    );
    return similarities.some((similarity) => similarity >= this.threshold);
  }

  keep(label: number, score: number): void {
    this.kept.push({ label, angle: Math.acos(score) });
  }
}
