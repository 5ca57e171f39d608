/** What decides how a search is done. */
export interface PlanInput {
  /** true: scan; false: graph; undefined: whichever is right and cheaper. */
  readonly exact: boolean | undefined;
  /** Vectors in the collection. */
  readonly live: number;
  /** Vectors that may be found: those that match the filter, or all. */
  readonly pool: number;
  /** Candidates that the graph would be asked for. */
  readonly candidates: number;
  /** Vectors that the graph does not hold yet; undefined: there is no graph. */
  readonly missing: number | undefined;
  /** Pools smaller than this are always scanned. */
  readonly exactBelow: number;
}

/** Distances a graph search computes for each candidate it keeps, roughly. */
const DISTANCES_PER_CANDIDATE = 16;

/**
 * Whether to compare the query with the whole pool or to follow the graph.
 *
 * A graph search computes about 16 distances per candidate, and under a filter it passes
 * `live / pool` candidates for each that it may keep; labels that the graph misses are scanned on top.
 * The scan, which is exact, is taken wherever it costs no more than that.
 */
export function planSearch(input: PlanInput): 'scan' | 'graph' {
  const { exact, live, pool, candidates, missing, exactBelow } = input;
  if (missing === undefined || exact === true) return 'scan';
  if (exact === false) return 'graph';
  if (pool < exactBelow) return 'scan';
  const graphCost = DISTANCES_PER_CANDIDATE * candidates * (live / pool) + missing;
  return graphCost >= pool ? 'scan' : 'graph';
}
