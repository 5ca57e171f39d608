import type { MatchesBothWays } from './best-matches.js';

/** Two patches of two images that are each other's best match. */
export interface Pair {
  /** Patch of the first image, counted row by row. */
  readonly first: number;
  /** Patch of the second image. */
  readonly second: number;
  /** Cosine of their features, -1..1. */
  readonly score: number;
}

export interface BestBuddiesOptions {
  /** Pairs kept at most, from 1. */
  readonly maxPairs: number;
  /** Cosine below which a pair is left out, -1..1. */
  readonly minScore: number;
}

/**
 * The patches that are each other's best match, best score first, equal ones in the order of the first image's
 * patches.
 * Source: best-buddies of Amir et al. (https://arxiv.org/abs/2112.05814, section 5.3) and Dekel et al.
 * (https://arxiv.org/abs/1604.07952).
 */
export function bestBuddies(matches: MatchesBothWays, options: BestBuddiesOptions): Pair[] {
  const { first, second } = matches;
  const pairs: Pair[] = [];
  first.patches.forEach((match, patch) => {
    const score = first.scores[patch]!;
    if (second.patches[match] === patch && score >= options.minScore) {
      pairs.push({ first: patch, second: match, score });
    }
  });
  // Sorting is stable.
  pairs.sort((a, b) => b.score - a.score);
  return pairs.slice(0, options.maxPairs);
}
