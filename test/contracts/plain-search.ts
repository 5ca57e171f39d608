import type { NewImage, SearchQuery } from '#dino/collections/collection-store.js';
import type { FilterScalar } from '#dino/collections/filter.js';
import { byCodePoint, cosine } from './collection-fixtures.js';
import { matches } from './plain-filter.js';

export interface PlainHit {
  readonly id: string;
  readonly score: number;
  readonly group?: FilterScalar;
}

/** The answer to a search, read straight from the documentation of `SearchQuery`: the whole ranking from the top. */
export function plainSearch(images: readonly NewImage[], query: SearchQuery): PlainHit[] {
  const { filter, minScore = -1, excludeIds = [], offset = 0, k } = query;
  const ranking = images
    .filter(
      ({ id, metadata }) => !excludeIds.includes(id) && (filter === undefined || matches(metadata, filter)),
    )
    .map((image) => ({ image, id: image.id, score: cosine(image.vector, query.vector) }))
    .filter(({ score }) => score >= minScore)
    .sort((a, b) => b.score - a.score || byCodePoint(a.id, b.id));
  const end = offset + k;
  if (query.groupBy !== undefined) return grouped(ranking, query).slice(offset, end).flat();
  const kept: Ranked[] = [];
  for (const hit of ranking) if (!isCopy(hit, kept, query)) kept.push(hit);
  return diversified(kept, query)
    .slice(offset, end)
    .map(({ id, score }) => ({ id, score }));
}

interface Ranked {
  readonly image: NewImage;
  readonly id: string;
  readonly score: number;
}

function isCopy(
  hit: Ranked,
  kept: readonly Ranked[],
  { suppressDuplicates: threshold }: SearchQuery,
): boolean {
  if (threshold === undefined) return false;
  return kept.some((other) => cosine(hit.image.vector, other.image.vector) >= threshold);
}

function grouped(ranking: readonly Ranked[], query: SearchQuery): PlainHit[][] {
  const { groupSize = 1, offset = 0, k } = query;
  const groups = new Map<FilterScalar, PlainHit[]>();
  const kept: Ranked[] = [];
  for (const hit of ranking) {
    const value = hit.image.metadata[query.groupBy!];
    if (value === undefined || isCopy(hit, kept, query)) continue;
    let isPlaced = false;
    for (const group of new Set<FilterScalar>([value].flat())) {
      if (!groups.has(group) && groups.size < offset + k) groups.set(group, []);
      const hits = groups.get(group);
      if (hits === undefined || hits.length >= groupSize) continue;
      hits.push({ id: hit.id, score: hit.score, group });
      isPlaced = true;
    }
    if (isPlaced) kept.push(hit);
  }
  return [...groups.values()];
}

function diversified(kept: readonly Ranked[], { diversity, offset = 0, k }: SearchQuery): readonly Ranked[] {
  if (diversity === undefined) return kept;
  const { lambda = 0.5, candidates = 100 } = diversity;
  const left = kept.slice(0, Math.max(candidates, offset + k));
  const chosen: Ranked[] = [];
  while (left.length > 0 && chosen.length < offset + k) {
    const margin = (hit: Ranked): number => {
      const similarities = chosen.map((other) => cosine(other.image.vector, hit.image.vector));
      return lambda * hit.score - (1 - lambda) * (chosen.length === 0 ? 0 : Math.max(...similarities));
    };
    const margins = left.map(margin);
    chosen.push(...left.splice(margins.indexOf(Math.max(...margins)), 1));
  }
  return chosen;
}
