import { performance } from 'node:perf_hooks';
import { HnswGraph } from './hnsw-graph.js';
import type { GraphShape } from './hnsw-graph.js';
import type { VectorTable } from './vector-table.js';

/** Share of deleted elements past which a graph is built anew. */
const MAX_DELETED_SHARE = 0.2;

/** How long the adding of one batch should take: long enough to share among threads, short enough to wait for. */
const BATCH_MS = 10;
const MAX_BATCH = 4096;

/** A graph together with the labels that the vector table has and it has not (yet), and the other way round. */
export class TrackedGraph {
  private readonly missingLabels: Set<number>;
  /** Deleted while the graph was being saved, and not yet marked in it. */
  private readonly unmarked = new Set<number>();
  private batch: number;

  private constructor(
    readonly graph: HnswGraph,
    missing: Iterable<number>,
    private readonly threads: number,
  ) {
    this.missingLabels = new Set(missing);
    this.batch = threads;
  }

  /** An empty graph that misses everything. @param threads native threads that share the adding */
  static create(shape: GraphShape, vectors: VectorTable, threads: number): TrackedGraph {
    return new TrackedGraph(HnswGraph.create(shape), vectors.allLabels(), threads);
  }

  /** A loaded graph, which misses what was stored after it was saved. */
  static resume(graph: HnswGraph, vectors: VectorTable, threads: number): TrackedGraph {
    const present = new Set(graph.labels());
    return new TrackedGraph(
      graph,
      vectors.allLabels().filter((label) => !present.has(label)),
      threads,
    );
  }

  /** Labels that are still to be added. */
  get missing(): ReadonlySet<number> {
    return this.missingLabels;
  }

  /** Elements that the graph still finds and the vector table has no more. */
  get surplus(): number {
    return this.unmarked.size;
  }

  /** Whether so much of it is deleted that building it anew pays. */
  get isSparse(): boolean {
    return this.graph.deleted > this.graph.size * MAX_DELETED_SHARE;
  }

  /** Notes a new label; `catchUp` adds it. */
  insert(label: number): void {
    this.missingLabels.add(label);
  }

  /**
   * @param frozen whether the graph must not change now; `catchUp` marks the label later then
   * @returns whether the graph changed or is going to
   */
  remove(label: number, frozen: boolean): boolean {
    if (this.missingLabels.delete(label)) return false;
    if (frozen) this.unmarked.add(label);
    else this.graph.markDeleted(label);
    return true;
  }

  /**
   * Marks what was deleted during a save and adds missing labels batch by batch for as long as `mayGoOn` says.
   *
   * @returns how many were added
   */
  catchUp(vectors: VectorTable, mayGoOn: () => boolean): number {
    this.markRemoved();
    let added = 0;
    while (this.missingLabels.size > 0) {
      const started = performance.now();
      const labels = first(this.missingLabels, this.batch);
      this.graph.add(labels, vectors, this.threads);
      for (const label of labels) this.missingLabels.delete(label);
      added += labels.length;
      this.adaptBatch(labels.length, performance.now() - started);
      if (!mayGoOn()) break;
    }
    return added;
  }

  /** Marks what was deleted while the graph must not change. */
  markRemoved(): void {
    for (const label of this.unmarked) this.graph.markDeleted(label);
    this.unmarked.clear();
  }

  private adaptBatch(count: number, milliseconds: number): void {
    const fitting = Math.round((count * BATCH_MS) / Math.max(milliseconds, 0.01));
    this.batch = Math.min(Math.max(fitting, this.threads), this.batch * 2, MAX_BATCH);
  }
}

function first(labels: Iterable<number>, count: number): number[] {
  const taken: number[] = [];
  for (const label of labels) {
    taken.push(label);
    if (taken.length === count) break;
  }
  return taken;
}
