import { DinoError } from '../errors.js';
import type { Grid } from '../inference/features.js';
import { describeCriterion, scoreHead } from './head-criterion.js';

/** One head; the `best` by its score; the `union` of all heads' masks; or `all`, a mask per head. */
export type HeadChoice = number | 'best' | 'union' | 'all';

export interface AttentionMask {
  /** Counted from 0; null for the union. */
  readonly head: number | null;
  /** How much the mask looks like one object, 0..1; see `scoreHead`. */
  readonly score: number;
  /** One byte a patch, row by row, 1 inside and 0 outside. */
  readonly cells: Uint8Array;
  /** Why this mask, in a sentence for the caller. */
  readonly reason: string;
}

export interface AttentionMaskOptions {
  /** Attention of the CLS token to the patches, a row per head: `grid.height * grid.width` values >= 0. */
  readonly heads: readonly Float32Array[];
  readonly grid: Grid;
  /** Share of the attention mass that a mask holds, 0..1; default 0.6. */
  readonly threshold?: number;
  /** Default `best`. */
  readonly head?: HeadChoice;
}

/**
 * Masks from the self-attention of the last block: of each head the patches that hold most of its attention.
 *
 * @returns masks, best score first; without those that hold no patch (threshold 0)
 * @throws DinoError `invalid-request` for a threshold outside 0..1 or a head the model doesn't have
 */
export function attentionMasks(options: AttentionMaskOptions): AttentionMask[] {
  const { heads, grid, threshold = 0.6, head: choice = 'best' } = options;
  if (!(threshold >= 0 && threshold <= 1)) {
    throw new DinoError(
      'invalid-request',
      `The threshold is a share of the attention, 0 to 1, not ${threshold}.`,
    );
  }
  if (typeof choice === 'number' && heads[choice] === undefined) {
    const known = `this model has ${heads.length}, counted from 0`;
    throw new DinoError('invalid-request', `There is no head ${choice}: ${known}.`);
  }
  if (choice === 'union') return [unionMask(heads, grid, threshold)].filter(hasCells);
  const wanted = typeof choice === 'number' ? [choice] : heads.map((_, head) => head);
  const masks = wanted
    .map((head) => ({ head, ...maskOfHead(heads[head]!, grid, threshold) }))
    .filter(hasCells)
    .sort((first, second) => second.score - first.score || first.head - second.head);
  const found = choice === 'best' ? masks.slice(0, 1) : masks;
  return found.map((mask) => ({ ...mask, reason: reasonFor(mask.head, mask.score, heads.length, choice) }));
}

/**
 * The smallest set of patches that holds a share of a head's attention to the patches; of equal values the
 * first patch is taken first. Source: DINO (https://arxiv.org/abs/2104.14294), figure 3 and section 4.2.2,
 * and `visualize_attention.py` of https://github.com/facebookresearch/dino, which keeps the patches beyond
 * 1 - threshold of the cumulative sum in ascending order: the same set.
 *
 * @param attention values >= 0, one a patch; they need not sum to 1
 * @param threshold share of their sum, 0..1: 0 keeps none, 1 keeps all
 * @returns one byte a patch, 1 inside and 0 outside
 * @throws RangeError for values that are negative or not finite
 */
export function topMassCells(attention: Float32Array, threshold: number): Uint8Array {
  const cells = new Uint8Array(attention.length);
  let total = 0;
  for (const value of attention) {
    if (!(value >= 0 && value < Infinity)) throw new RangeError(`an attention of ${value}`);
    total += value;
  }
  if (threshold >= 1) return cells.fill(1);
  // Nothing is attended to, so nothing is inside.
  if (total === 0) return cells;
  // Typed arrays sort by value without calling back.
  const ascending = attention.slice().sort();
  let held = 0;
  let kept = 0;
  while (held < threshold * total && kept < ascending.length) held += ascending[ascending.length - ++kept]!;
  if (kept === 0) return cells;
  const lowestKept = ascending[ascending.length - kept]!;
  let kinAllowed = kept - countAbove(ascending, lowestKept);
  attention.forEach((value, patch) => {
    if (value > lowestKept || (value === lowestKept && kinAllowed-- > 0)) cells[patch] = 1;
  });
  return cells;
}

function countAbove(ascending: Float32Array, limit: number): number {
  let count = 0;
  while (count < ascending.length && ascending[ascending.length - 1 - count]! > limit) count++;
  return count;
}

function maskOfHead(attention: Float32Array, grid: Grid, threshold: number) {
  const cells = topMassCells(attention, threshold);
  return { cells, score: scoreHead({ attention, cells, grid }) };
}

function unionMask(heads: readonly Float32Array[], grid: Grid, threshold: number): AttentionMask {
  const cells = new Uint8Array(grid.width * grid.height);
  const mean = new Float32Array(cells.length);
  for (const attention of heads) {
    topMassCells(attention, threshold).forEach((inside, patch) => (cells[patch]! |= inside));
    const total = attention.reduce((sum, value) => sum + value, 0);
    if (total > 0) attention.forEach((value, patch) => (mean[patch]! += value / total));
  }
  const reason = `The masks of all ${heads.length} heads together.`;
  return { head: null, score: scoreHead({ attention: mean, cells, grid }), cells, reason };
}

function hasCells(mask: { readonly cells: Uint8Array }): boolean {
  return mask.cells.includes(1);
}

function reasonFor(head: number, score: number, heads: number, choice: HeadChoice): string {
  const measure = `${describeCriterion} (${score.toFixed(2)})`;
  if (choice === 'best') return `Of ${heads} heads, head ${head} has the highest ${measure}.`;
  if (choice === 'all') return `Head ${head} of ${heads}: its ${measure}.`;
  return `Head ${head} was asked for: its ${measure}.`;
}
