import type { ScoredLabel, VectorTable } from './vector-table.js';

/**
 * Maximal marginal relevance: again and again the candidate with the highest
 * `lambda * cos(query, candidate) - (1 - lambda) * max cos(chosen, candidate)`, where the maximum over
 * none is 0; of equals the one with the better score (Carbonell and Goldstein, The use of MMR,
 * diversity-based reranking, SIGIR 1998).
 *
 * @param candidates best score first
 * @param count most that are chosen
 * @param lambda 0..1; 1 leaves the order as it is
 * @returns the chosen in the order of their choice
 */
export function diversify(
  candidates: readonly ScoredLabel[],
  vectors: VectorTable,
  { count, lambda }: { readonly count: number; readonly lambda: number },
): ScoredLabel[] {
  const left = [...candidates];
  const nearest = new Float64Array(candidates.length);
  const chosen: ScoredLabel[] = [];
  while (chosen.length < count && left.length > 0) {
    let best = 0;
    let bestMargin = -Infinity;
    for (let i = 0; i < left.length; i++) {
      const margin = lambda * left[i]!.score - (1 - lambda) * nearest[i]!;
      if (margin > bestMargin) [best, bestMargin] = [i, margin];
    }
    const [choice] = left.splice(best, 1);
    // In step with `left`: one element fewer.
    nearest.copyWithin(best, best + 1);
    const labels = left.map(({ label }) => label);
    vectors.similarities(choice!.label, labels).forEach((similarity, i) => {
      nearest[i] = chosen.length === 0 ? similarity : Math.max(nearest[i]!, similarity);
    });
    chosen.push(choice!);
  }
  return chosen;
}
