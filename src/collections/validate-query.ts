import { checkInteger, refuse, show } from './input-checks.js';
import { validateFilter } from './validate-filter.js';
import type { ListQuery, SearchQuery } from './collection-store.js';

export const MAX_LIST_LIMIT = 1000;
export const MAX_K = 1000;
export const MAX_EF = 4096;
export const MAX_EXCLUDED_IDS = 10_000;

/**
 * @returns a copy with the known fields only; the cursor is not looked into
 * @throws invalid-request
 */
export function validateListQuery(query: ListQuery): ListQuery {
  if (query.cursor !== undefined && typeof query.cursor !== 'string') {
    refuse(`cursor must be the nextCursor of the page before, but it is ${show(query.cursor)}.`);
  }
  return {
    limit: checkInteger(query.limit, 'limit', 1, MAX_LIST_LIMIT),
    cursor: query.cursor,
    filter: query.filter === undefined ? undefined : validateFilter(query.filter),
  };
}

/**
 * Checks everything about a query that can be known without its collection, so not the vector's
 * length and elements.
 *
 * @returns a copy with the known fields only; the vector is the caller's own, not a copy
 * @throws invalid-request
 */
export function validateSearchQuery(query: SearchQuery): SearchQuery {
  const { ef, exact, minScore } = query;
  const vector: unknown = query.vector;
  if (!(vector instanceof Float32Array)) refuse(`vector must be a Float32Array, but it is ${show(vector)}.`);
  if (exact !== undefined && typeof exact !== 'boolean')
    refuse(`exact must be true or false, but it is ${show(exact)}.`);
  if (minScore !== undefined && !(typeof minScore === 'number' && minScore >= -1 && minScore <= 1)) {
    refuse(`minScore must be a number between -1 and 1, but it is ${show(minScore)}.`);
  }
  const excludeIds: unknown = query.excludeIds ?? [];
  if (!Array.isArray(excludeIds) || excludeIds.some((id) => typeof id !== 'string')) {
    refuse('excludeIds must be a list of ids.');
  }
  if (excludeIds.length > MAX_EXCLUDED_IDS) {
    refuse(`excludeIds has at most ${MAX_EXCLUDED_IDS} ids, but this has ${excludeIds.length}.`);
  }
  return {
    vector,
    k: checkInteger(query.k, 'k', 1, MAX_K),
    ef: ef === undefined ? undefined : checkInteger(ef, 'ef', 1, MAX_EF),
    exact,
    filter: query.filter === undefined ? undefined : validateFilter(query.filter),
    minScore,
    excludeIds: excludeIds as string[],
  };
}
