import type { RankingSettings, SearchQuery } from '../collection-store.js';
import type { Metadata } from '../filter.js';
import { compareIds } from '../id-order.js';
import { toUnitVector } from '../unit-vector.js';
import type { CollectionIndex } from './collection-index.js';
import { GroupWalk } from './group-walk.js';
import { diversify } from './mmr.js';
import { NearCopies } from './near-copies.js';
import { requireModel } from './open-collection.js';
import type { StoredHit } from './packed-hits.js';
import { searchVectors, type FoundLabel, type ObjectIndex } from './object-index.js';
import type { CollectionRow, SqliteCatalog } from './sqlite-catalog.js';
import type { ScoredLabel } from './vector-table.js';

const DEFAULT_CANDIDATES = 100;
/** How much deeper each look into the ranking goes than the one before that was not deep enough. */
const DEEPER = 8;
const FIRST_LOOK_MARGIN = 32;

export interface SearchedCollection {
  readonly row: CollectionRow;
  readonly index: CollectionIndex;
  readonly objects: ObjectIndex;
  readonly catalog: SqliteCatalog;
}

/** A search of one collection, from a validated query to its hits. */
export function searchHits(collection: SearchedCollection, query: SearchQuery): StoredHit[] {
  const { row, catalog } = collection;
  requireModel(row, query.modelFingerprint);
  const labels = (query.excludeIds ?? []).flatMap((id) => catalog.findLabel(row.row, id) ?? []);
  return new HitSearch(collection, query.vector, query, new Set(labels)).hits();
}

/** The same by the vector under a label that is there, whose image is not found. */
export function searchByLabel(
  collection: SearchedCollection,
  label: number,
  settings: RankingSettings,
): StoredHit[] {
  const vector = collection.index.vectors.get(label);
  return new HitSearch(collection, vector, settings, new Set([label])).hits();
}

interface Described extends FoundLabel {
  /** As the database has it. */
  readonly metadata: string;
}

class HitSearch {
  private readonly vector: Float32Array;
  private readonly matching: readonly number[] | undefined;
  private readonly copies: NearCopies | undefined;
  private readonly offset: number;
  /** Hits or groups down to the last one wanted. */
  private readonly wanted: number;

  constructor(
    private readonly collection: SearchedCollection,
    vector: Float32Array,
    private readonly settings: RankingSettings,
    private readonly excluded: ReadonlySet<number>,
  ) {
    const { row, index, catalog } = collection;
    this.vector = toUnitVector(vector, row.dimension, 'The query vector');
    this.matching = settings.filter && catalog.fields.matching(row.row, settings.filter);
    if (settings.suppressDuplicates !== undefined)
      this.copies = new NearCopies(index.vectors, settings.suppressDuplicates);
    this.offset = settings.offset ?? 0;
    this.wanted = this.offset + settings.k;
  }

  hits(): StoredHit[] {
    const { groupBy, diversity } = this.settings;
    if (groupBy !== undefined) return this.groups(groupBy);
    let found: readonly FoundLabel[];
    if (diversity !== undefined) {
      const { lambda = 0.5, candidates = DEFAULT_CANDIDATES } = diversity;
      const pool = this.ranked(Math.max(candidates, this.wanted));
      found = diversify(pool, this.collection.index.vectors, { count: this.wanted, lambda });
    } else {
      found = this.ranked(this.wanted);
    }
    return this.describe(found.slice(this.offset)).map((hit) => this.shape(hit));
  }

  /** The best `count`, copies of better ones left out where that was asked for. */
  private ranked(count: number): FoundLabel[] {
    const { copies } = this;
    if (copies === undefined) return this.look(count, this.matching, this.excluded);
    const kept: FoundLabel[] = [];
    const seen = new Set(this.excluded);
    for (let depth = count + FIRST_LOOK_MARGIN; ; depth *= DEEPER) {
      const next = this.look(depth, this.matching, seen);
      for (const hit of next) {
        seen.add(hit.label);
        if (copies.has(hit.label, hit.score)) continue;
        copies.keep(hit.label, hit.score);
        if (kept.push(hit) === count) return kept.sort(compareHits);
      }
      if (next.length < depth) return kept.sort(compareHits);
    }
  }

  /** The best images of the best groups, as if the whole ranking was gone through from the top. */
  private groups(field: string): StoredHit[] {
    const { groupSize = 1, filter } = this.settings;
    const { row, catalog } = this.collection;
    const walk = new GroupWalk<Described>(this.wanted, groupSize);
    const seen = new Set(this.excluded);
    let relevant = this.matching;
    for (let depth = this.wanted * groupSize + FIRST_LOOK_MARGIN; ; depth *= DEEPER) {
      const next = this.look(depth, relevant, seen);
      for (const hit of this.describe(next)) {
        seen.add(hit.label);
        const metadata = JSON.parse(hit.metadata) as Metadata;
        const value = Object.hasOwn(metadata, field) ? metadata[field] : undefined;
        const isWelcome = (): boolean => !(this.copies?.has(hit.label, hit.score) ?? false);
        if (walk.place({ hit, value }, isWelcome)) this.copies?.keep(hit.label, hit.score);
        if (walk.isComplete) break;
      }
      if (walk.isComplete || next.length < depth) break;
      // What can no longer be placed is not looked at again: a place that is taken stays taken.
      relevant = catalog.fields.choosing(
        row.row,
        walk.mayOpen
          ? { field, which: 'besides', values: walk.values('full') }
          : { field, which: 'among', values: walk.values('unfilled') },
        filter,
      );
    }
    for (const { hits } of walk.groups) hits.sort(compareHits);
    return walk.groups
      .sort((a, b) => compareHits(a.hits[0]!, b.hits[0]!))
      .slice(this.offset)
      .flatMap(({ value, hits }) => hits.map((hit) => ({ ...this.shape(hit), group: value })));
  }

  /** The best `count` of those that match, reach `minScore` and are not excluded. */
  private look(
    count: number,
    matching: readonly number[] | undefined,
    excluded: ReadonlySet<number>,
  ): FoundLabel[] {
    const { ef, exact, minScore, objects = 'images' } = this.settings;
    const asked = {
      vector: this.vector,
      k: count,
      ef: ef ?? this.collection.row.ef,
      exact,
      matching,
      excluded,
      minScore,
    };
    return searchVectors(this.collection, asked, objects);
  }

  /**
   * Spelled out, because Node 20's V8 makes a hidden class of its own for each object whose spread is followed by another
   * property: slow to make and to read, and there until the whole heap is collected.
   */
  private describe(hits: readonly FoundLabel[]): Described[] {
    const { row, catalog } = this.collection;
    const labels = hits.map(({ label }) => label);
    const metadata = catalog.metadataOf(row.row, labels);
    return hits.map(({ label, id, score, object }, i) => ({
      label,
      id,
      score,
      object,
      metadata: metadata[i]!,
    }));
  }

  private shape({ label, id, score, metadata, object }: Described): StoredHit {
    const { row, index, objects, catalog } = this.collection;
    const hit: StoredHit =
      object === undefined
        ? { id, score, metadata }
        : { id, score, metadata, bbox: catalog.objects.bbox(row.row, label, object.number) };
    if (this.settings.withVectors !== true) return hit;
    const vector = object === undefined ? index.vectors.get(label) : objects.index.vectors.get(object.label);
    return { ...hit, vector: vector.slice() };
  }
}

/** The order that a scan gives them in; a second look into a graph may find what the first one missed. */
function compareHits(a: ScoredLabel, b: ScoredLabel): number {
  return b.score - a.score || compareIds(a.id, b.id);
}
