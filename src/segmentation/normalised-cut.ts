import type { Grid } from '../inference/features.js';
import type { BitMatrix } from './bit-matrix.js';
import { secondEigenvector } from './eigenvector.js';
import { componentOf, shareKept } from './seed-component.js';

/** Weight of the edge between patches that are not alike. */
const EPSILON = 1e-5;

/** Entries of the eigenvector that differ by less than these shares of the largest count as equal. */
const TIE = 1e-6;
const LEVEL = 1e-9;

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

/**
 * Every two patches are joined, or no two: the second eigenvector is then any vector.
 *
 * @param taken patches that are joined to none and left out of account, 1 each
 */
export function isUniform(affinity: BitMatrix, taken?: Uint8Array): boolean {
  let [joined, patches] = [0, 0];
  affinity.rowCounts().forEach((count, patch) => {
    if (taken?.[patch] === 1) return;
    patches++;
    joined += count - (affinity.has(patch, patch) ? 1 : 0);
  });
  return joined === 0 || joined === patches * (patches - 1);
}

export type Side = 1 | -1;

/** A part of one side of a cut that hangs together. */
export interface CutPart {
  readonly seed: number;
  readonly cells: Uint8Array;
  /** Patches. */
  readonly area: number;
  /** Share of its side's distance from the mean that lies in it, 0..1. */
  readonly score: number;
}

/** A cut of the patches at the mean of an eigenvector. */
export class Cut {
  readonly #vector: Float64Array;
  readonly #grid: Grid;
  readonly #mean: number;
  readonly #largest: number;

  /** @param vector one entry a patch; its sign is arbitrary */
  constructor(vector: Float64Array, grid: Grid) {
    this.#vector = vector;
    this.#grid = grid;
    this.#mean = vector.reduce((sum, entry) => sum + entry, 0) / vector.length;
    this.#largest = vector.reduce((most, entry) => Math.max(most, Math.abs(entry)), 0);
  }

  /** Where the entries lie that are largest by absolute value: patches alike to the same others have equal ones. */
  peaks(): number[] {
    return this.#patchesWith((entry) => Math.abs(entry) >= this.#largest * (1 - TIE));
  }

  /** Where the entries of one sign are largest. */
  peaksOf(side: Side): number[] {
    const most = this.#vector.reduce((so, entry) => Math.max(so, side * entry), -Infinity);
    return this.#patchesWith((entry) => side * entry >= most - TIE * this.#largest);
  }

  /** The side of the mean that a patch lies on. */
  sideOf(patch: number): Side {
    return this.#vector[patch]! > this.#mean ? 1 : -1;
  }

  /** Patches on one side of the mean. */
  foreground(side: Side): Uint8Array {
    const level = LEVEL * this.#largest;
    return Uint8Array.from(this.#vector, (entry) => (side * (entry - this.#mean) > level ? 1 : 0));
  }

  /** Of the parts of one side that hang together with one of some seeds the one with the most patches, the first of equals. */
  largestPart(seeds: readonly { readonly seed: number; readonly side: Side }[]): CutPart {
    const parts: CutPart[] = [];
    for (const { seed, side } of seeds) {
      const isKnown = parts.some(({ cells }) => cells[seed] !== 0);
      if (!isKnown) parts.push(this.#partAround(seed, side));
    }
    return parts.reduce((best, part) => (part.area > best.area ? part : best));
  }

  #partAround(seed: number, side: Side): CutPart {
    const foreground = this.foreground(side);
    const cells = componentOf(foreground, this.#grid, seed);
    const area = cells.reduce((count, inside) => count + inside, 0);
    const weight = (patch: number) => side * (this.#vector[patch]! - this.#mean);
    return { seed, cells, area, score: shareKept(foreground, cells, weight) };
  }

  #patchesWith(isWanted: (entry: number) => boolean): number[] {
    return Array.from(this.#vector.keys()).filter((patch) => isWanted(this.#vector[patch]!));
  }
}
