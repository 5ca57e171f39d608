import { performance } from 'node:perf_hooks';
import type { DuplicateGroup, DuplicateQuery, DuplicateReport } from '../collection-store.js';
import { compareIds } from '../id-order.js';
import { DisjointSets } from './disjoint-sets.js';
import type { SearchedCollection } from './hit-search.js';

/** So many images at most are compared pair by pair unless a query says otherwise. */
const EXACT_UP_TO = 20_000;
/** Longest stretch between two requests. */
const SLICE_MS = 25;
/** Neighbours looked at first, and how many times as many while all of them are duplicates. */
const FIRST_NEIGHBOURS = 32;
const MORE = 4;
/** Pairs that are kept before the best are chosen, however few are wanted. */
const CUT_AT_LEAST = 1000;

/** How far a scan is; `report` is there at the end. */
export interface DuplicateProgress {
  /** Images that have been compared with the others. */
  readonly done: number;
  readonly total: number;
  readonly report?: DuplicateReport;
}

/** Positions of two images, the smaller first. */
interface FoundPair {
  readonly a: number;
  readonly b: number;
  readonly score: number;
}

/**
 * Finds the near-duplicates among the images that a collection has when it begins, in slices between
 * which other requests go on. What is replaced or deleted meanwhile is left out.
 */
export class DuplicateScan {
  /** A position is an index of this. */
  private readonly labels: readonly number[];
  private readonly positions: ReadonlyMap<number, number>;
  private readonly isExact: boolean;
  private readonly sets: DisjointSets;
  /** The best so far, and those since the last cut. */
  private pairs: FoundPair[] = [];
  private pairCount = 0;
  private readonly seen = new Set<number>();
  private done = 0;

  constructor(
    readonly collection: SearchedCollection,
    private readonly query: DuplicateQuery,
  ) {
    const { row, index, catalog } = collection;
    const matching = query.filter && catalog.fields.matching(row.row, query.filter);
    this.labels = [...(matching ?? index.vectors.allLabels())].sort((a, b) => a - b);
    this.positions = new Map(this.labels.map((label, position) => [label, position]));
    this.isExact = query.exact ?? this.labels.length <= EXACT_UP_TO;
    this.sets = new DisjointSets(this.labels.length);
  }

  /** Goes on for a short while. */
  step(): DuplicateProgress {
    const end = performance.now() + SLICE_MS;
    const { vectors } = this.collection.index;
    const total = this.labels.length;
    // Where the vectors lie changes between two slices, and not within one.
    const rest: number[] = [];
    for (let at = this.done; at < total; at++) if (vectors.has(this.labels[at]!)) rest.push(at);
    const scorer = this.isExact ? vectors.scorer(rest.map((at) => this.labels[at]!)) : undefined;
    for (let i = 0; i < rest.length && (i === 0 || performance.now() < end); i++) {
      const position = rest[i]!;
      if (scorer === undefined) this.noteNeighbours(position);
      else {
        scorer(i).forEach((score, j) => {
          if (score >= this.query.threshold) this.note(position, rest[i + 1 + j]!, score);
        });
      }
      this.done = position + 1;
    }
    const isOver = this.done > (rest.at(-1) ?? -1);
    return isOver ? { done: total, total, report: this.report() } : { done: this.done, total };
  }

  /** Looks for an image's duplicates as a search does: by the graph, where there is one. */
  private noteNeighbours(position: number): void {
    const { index, row } = this.collection;
    const { threshold, exact } = this.query;
    const label = this.labels[position]!;
    const question = {
      vector: index.vectors.get(label),
      matching: undefined,
      excluded: new Set([label]),
      exact,
    };
    for (let k = FIRST_NEIGHBOURS; ; k *= MORE) {
      const found = index.search({ ...question, k, ef: Math.max(row.ef, k) });
      const near = found.filter(({ score }) => score >= threshold);
      if (near.length === k) continue;
      for (const { label: other, score } of near) {
        const at = this.positions.get(other);
        if (at !== undefined) this.note(Math.min(at, position), Math.max(at, position), score);
      }
      return;
    }
  }

  private note(a: number, b: number, score: number): void {
    if (!this.isExact) {
      // Both may find each other, or only one of them.
      const key = a * this.labels.length + b;
      if (this.seen.has(key)) return;
      this.seen.add(key);
    }
    this.sets.join(a, b);
    this.pairCount++;
    this.pairs.push({ a, b, score });
    if (this.pairs.length >= 2 * this.query.maxPairs + CUT_AT_LEAST) this.cutPairs();
  }

  private cutPairs(): void {
    this.pairs.sort((x, y) => y.score - x.score || x.a - y.a || x.b - y.b);
    this.pairs.length = Math.min(this.pairs.length, this.query.maxPairs);
  }

  private report(): DuplicateReport {
    const { vectors } = this.collection.index;
    const idOf = (position: number): string | undefined => {
      const label = this.labels[position]!;
      return vectors.has(label) ? vectors.idOf(label) : undefined;
    };
    this.cutPairs();
    const groups = new Map<number, DuplicateGroup & { ids: string[] }>();
    for (const members of this.sets.groups()) {
      const ids = members.flatMap((position) => idOf(position) ?? []).sort(compareIds);
      if (ids.length > 1) groups.set(this.sets.find(members[0]!), { ids, pairs: [] });
    }
    for (const { a, b, score } of this.pairs) {
      const ends = [idOf(a), idOf(b)].filter((id) => id !== undefined).sort(compareIds);
      if (ends.length === 2) groups.get(this.sets.find(a))?.pairs.push({ a: ends[0]!, b: ends[1]!, score });
    }
    return {
      images: this.labels.length,
      groups: [...groups.values()].sort(
        (x, y) => y.ids.length - x.ids.length || compareIds(x.ids[0]!, y.ids[0]!),
      ),
      pairs: this.pairCount,
      exact: this.isExact,
    };
  }
}
