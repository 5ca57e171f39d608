import { bestMatches, type MatchesBothWays, type PatchFeatures } from './best-matches.js';
import { binnedMatches } from './binned-matches.js';

/** What the main thread asks of the worker: plain data, so that it can cross. */
export interface MatchingTask {
  readonly first: PatchFeatures;
  readonly second: PatchFeatures;
  /** Whether a patch is compared with its surroundings; see `binnedMatches`. */
  readonly binned: boolean;
}

/** Best matches of two images. All pairs are compared without a pause: that is why this is a worker. */
export default function match({ first, second, binned }: MatchingTask): MatchesBothWays {
  return binned ? binnedMatches(first, second) : bestMatches(first, second);
}
