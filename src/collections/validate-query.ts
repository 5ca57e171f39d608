import { checkInteger, isPlainObject, refuse, show } from './input-checks.js';
import { SEARCHED_VECTORS, type SearchedVectors } from './image-objects.js';
import { validateFilter } from './validate-filter.js';
import { validateFieldName } from './validate-image.js';
import type {
  Diversity,
  DuplicateQuery,
  FacetQuery,
  ListQuery,
  SearchQuery,
  RankingSettings,
} from './collection-store.js';

export const MAX_LIST_LIMIT = 1000;
export const MAX_K = 1000;
/** Hits or groups down to the last one wanted. */
export const MAX_DEPTH = 10_000;
/** The same where hits are compared with each other. */
export const MAX_COMPARED = 1000;
export const MAX_GROUP_SIZE = 100;
export const MAX_GROUPED_HITS = 10_000;
export const MAX_FACET_VALUES = 1000;
export const MAX_PAIRS = 100_000;
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
    withVectors: query.withVectors === true,
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
  const vector: unknown = query.vector;
  if (!(vector instanceof Float32Array)) refuse(`vector must be a Float32Array, but it is ${show(vector)}.`);
  const excludeIds: unknown = query.excludeIds ?? [];
  if (!Array.isArray(excludeIds) || excludeIds.some((id) => typeof id !== 'string')) {
    refuse('excludeIds must be a list of ids.');
  }
  if (excludeIds.length > MAX_EXCLUDED_IDS) {
    refuse(`excludeIds has at most ${MAX_EXCLUDED_IDS} ids, but this has ${excludeIds.length}.`);
  }
  const { modelFingerprint } = query;
  if (modelFingerprint !== undefined && typeof modelFingerprint !== 'string') {
    refuse(`modelFingerprint must be a text, but it is ${show(modelFingerprint)}.`);
  }
  return { ...validateRankingSettings(query), vector, modelFingerprint, excludeIds: excludeIds as string[] };
}

/** The same for everything but what is looked for. @throws invalid-request */
export function validateRankingSettings(query: RankingSettings): RankingSettings {
  const { ef, exact, minScore } = query;
  if (exact !== undefined && typeof exact !== 'boolean')
    refuse(`exact must be true or false, but it is ${show(exact)}.`);
  if (minScore !== undefined) checkNumber(minScore, 'minScore', -1, 1);
  const k = checkInteger(query.k, 'k', 1, MAX_K);
  const comparing = query.diversity !== undefined ? 'diversity' : 'suppressDuplicates';
  const deepest = query[comparing] === undefined ? MAX_DEPTH : MAX_COMPARED;
  const offset = checkInteger(query.offset ?? 0, 'offset', 0, MAX_DEPTH);
  if (offset + k > deepest) {
    const why = deepest === MAX_DEPTH ? '' : ` with ${comparing}`;
    refuse(`offset + k is at most ${deepest}${why}, but it is ${offset + k}.`);
  }
  const threshold = query.suppressDuplicates;
  if (threshold !== undefined) checkNumber(threshold, 'suppressDuplicates', 0, 1);
  return {
    k,
    offset,
    objects: validateSearched(query),
    suppressDuplicates: threshold,
    diversity: query.diversity === undefined ? undefined : validateDiversity(query.diversity),
    ...validateGrouping(query, k),
    withVectors: query.withVectors === true,
    ef: ef === undefined ? undefined : checkInteger(ef, 'ef', 1, MAX_EF),
    exact,
    filter: query.filter === undefined ? undefined : validateFilter(query.filter),
    minScore,
  };
}

/** @throws invalid-request */
export function validateDuplicateQuery(query: DuplicateQuery): DuplicateQuery {
  const { exact } = query;
  if (exact !== undefined && typeof exact !== 'boolean')
    refuse(`exact must be true or false, but it is ${show(exact)}.`);
  return {
    threshold: checkNumber(query.threshold, 'threshold', 0, 1),
    filter: query.filter === undefined ? undefined : validateFilter(query.filter),
    exact,
    maxPairs: checkInteger(query.maxPairs, 'maxPairs', 0, MAX_PAIRS),
  };
}

/** @throws invalid-request */
export function validateFacetQuery(query: FacetQuery): FacetQuery {
  return {
    field: validateFieldName(query.field),
    filter: query.filter === undefined ? undefined : validateFilter(query.filter),
    limit: checkInteger(query.limit, 'limit', 1, MAX_FACET_VALUES),
  };
}

function validateDiversity(diversity: unknown): Diversity {
  if (!isPlainObject(diversity)) refuse(`diversity must be an object, but it is ${show(diversity)}.`);
  const { lambda, candidates } = diversity;
  return {
    lambda: lambda === undefined ? undefined : checkNumber(lambda, 'diversity.lambda', 0, 1),
    candidates:
      candidates === undefined
        ? undefined
        : checkInteger(candidates, 'diversity.candidates', 1, MAX_COMPARED),
  };
}

function validateSearched({
  objects = 'images',
  suppressDuplicates,
  diversity,
}: RankingSettings): SearchedVectors {
  if (!SEARCHED_VECTORS.includes(objects))
    refuse(`objects of a search is one of ${SEARCHED_VECTORS.join(', ')}, but it is ${show(objects)}.`);
  if (objects === 'images') return objects;
  for (const [name, given] of Object.entries({ suppressDuplicates, diversity })) {
    if (given !== undefined)
      refuse(
        `${name} compares whole images and does not go with objects ${show(objects)}; choose one of them.`,
      );
  }
  return objects;
}

function validateGrouping(query: RankingSettings, k: number): Pick<RankingSettings, 'groupBy' | 'groupSize'> {
  if (query.groupBy === undefined) {
    if (query.groupSize !== undefined) refuse('groupSize needs groupBy: the metadata field to group by.');
    return {};
  }
  if (query.diversity !== undefined) refuse('diversity and groupBy do not go together; choose one of them.');
  const groupSize = checkInteger(query.groupSize ?? 1, 'groupSize', 1, MAX_GROUP_SIZE);
  if (k * groupSize > MAX_GROUPED_HITS)
    refuse(`k * groupSize is at most ${MAX_GROUPED_HITS}, but it is ${k * groupSize}.`);
  return { groupBy: validateFieldName(query.groupBy), groupSize };
}

function checkNumber(value: unknown, name: string, min: number, max: number): number {
  if (typeof value !== 'number' || !(value >= min && value <= max))
    refuse(`${name} must be a number between ${min} and ${max}, but it is ${show(value)}.`);
  return value;
}
