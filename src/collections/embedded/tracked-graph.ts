import { HnswGraph } from './hnsw-graph.js';
import type { GraphShape } from './hnsw-graph.js';
import type { VectorTable } from './vector-table.js';

/** Share of deleted elements past which a graph is built anew. */
const MAX_DELETED_SHARE = 0.2;

/** A graph together with the labels that the vector table has and it has not (yet). */
export class TrackedGraph {
  private readonly missingLabels: Set<number>;

  private constructor(
    readonly graph: HnswGraph,
    missing: Iterable<number>,
  ) {
    this.missingLabels = new Set(missing);
  }

  /** An empty graph that misses everything. */
  static create(shape: GraphShape, vectors: VectorTable): TrackedGraph {
    return new TrackedGraph(HnswGraph.create(shape), vectors.allLabels());
  }

  /** A loaded graph, which misses what was stored after it was saved. */
  static resume(graph: HnswGraph, vectors: VectorTable): TrackedGraph {
    const present = new Set(graph.labels());
    return new TrackedGraph(
      graph,
      vectors.allLabels().filter((label) => !present.has(label)),
    );
  }

  /** Labels that are still to be added. */
  get missing(): ReadonlySet<number> {
    return this.missingLabels;
  }

  /** Whether so much of it is deleted that building it anew pays. */
  get isSparse(): boolean {
    return this.graph.deleted > this.graph.size * MAX_DELETED_SHARE;
  }

  /** Notes a new label; `catchUp` adds it. */
  insert(label: number): void {
    this.missingLabels.add(label);
  }

  /** @returns whether the graph itself changed */
  remove(label: number): boolean {
    if (this.missingLabels.delete(label)) return false;
    this.graph.markDeleted(label);
    return true;
  }

  /**
   * Adds missing labels one by one for as long as `mayGoOn` says.
   *
   * @returns how many were added
   */
  catchUp(vectors: VectorTable, mayGoOn: () => boolean): number {
    let added = 0;
    for (const label of this.missingLabels) {
      this.graph.add(label, vectors.get(label));
      this.missingLabels.delete(label);
      added++;
      if (!mayGoOn()) break;
    }
    return added;
  }
}
