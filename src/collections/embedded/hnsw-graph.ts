import hnswlib from 'hnswlib-node';
import type { HierarchicalNSW } from 'hnswlib-node';
import type { LabelSet } from './label-set.js';

/** The inner product; on unit vectors, the cosine. */
export const GRAPH_SPACE = 'ip';

export interface GraphShape {
  /** Elements per vector. */
  readonly dimension: number;
  /** Links per element. */
  readonly m: number;
  /** Candidates kept while building. */
  readonly efConstruction: number;
  /** Candidates kept while searching, unless a search asks for another number. */
  readonly ef: number;
}

const INITIAL_CAPACITY = 1024;
const GROWTH = 1.5;

/**
 * An HNSW graph over unit vectors, addressed by label (uint32). The only user of the native library,
 * which ends the process when it is given something that it does not expect: what goes in is checked
 * here, and elements are never replaced, only marked as deleted.
 */
export class HnswGraph {
  /** The library takes plain arrays only; one is filled again and again. */
  private readonly scratch: number[];

  private constructor(
    private readonly index: HierarchicalNSW,
    private readonly shape: GraphShape,
    private capacity: number,
    private deletedCount: number,
  ) {
    this.scratch = Array.from({ length: shape.dimension }, () => 0.5);
  }

  static create(shape: GraphShape): HnswGraph {
    const index = new hnswlib.HierarchicalNSW(GRAPH_SPACE, shape.dimension);
    index.initIndex(INITIAL_CAPACITY, shape.m, shape.efConstruction);
    index.setEf(shape.ef);
    return new HnswGraph(index, shape, INITIAL_CAPACITY, 0);
  }

  /**
   * Reads a file of `save` that is known to be whole and of this shape: the library checks neither.
   *
   * @param isLive whether the element with this label still exists; the others are marked as deleted
   * @throws Error when the library refuses the file
   */
  static load(path: string, shape: GraphShape, isLive: (label: number) => boolean): HnswGraph {
    // Always a fresh object: one that failed to read a file must not be touched again.
    const index = new hnswlib.HierarchicalNSW(GRAPH_SPACE, shape.dimension);
    index.readIndexSync(path);
    // An empty graph comes back with room for nothing, and every graph with ef 10.
    const capacity = Math.max(INITIAL_CAPACITY, index.getCurrentCount());
    index.resizeIndex(capacity);
    index.setEf(shape.ef);
    const dead = index.getIdsList().filter((label) => !isLive(label));
    for (const label of dead) markDeletedOnce(index, label);
    return new HnswGraph(index, shape, capacity, dead.length);
  }

  /** Elements in the graph, deleted ones included. */
  get size(): number {
    return this.index.getCurrentCount();
  }

  /** Elements marked as deleted. */
  get deleted(): number {
    return this.deletedCount;
  }

  /** Candidates kept by a search that does not say otherwise. */
  get ef(): number {
    return this.index.getEf();
  }

  /** Labels in the graph, deleted ones included, in no order. */
  labels(): number[] {
    return this.index.getIdsList();
  }

  /**
   * @param label uint32 that has never been in this graph
   * @param vector unit vector
   */
  add(label: number, vector: Float32Array): void {
    if (!Number.isInteger(label) || label < 0 || label >= 2 ** 32)
      throw new Error(`${label} is not a uint32 label`);
    if (this.size === this.capacity) {
      const capacity = Math.ceil(this.capacity * GROWTH);
      this.index.resizeIndex(capacity);
      this.capacity = capacity;
    }
    this.index.addPoint(this.toPlainArray(vector), label);
  }

  /** @param label one that is in the graph and not deleted */
  markDeleted(label: number): void {
    this.index.markDelete(label);
    this.deletedCount++;
  }

  /**
   * Labels of about the nearest `count` elements; fewer where the graph does not lead to more.
   *
   * @param query unit vector
   * @param count at least 1; also the number of candidates kept
   * @param allowed labels that may be found; undefined: all that are not deleted
   */
  search(query: Float32Array, count: number, allowed: LabelSet | undefined): number[] {
    const wanted = Math.min(count, this.size);
    if (wanted < 1) return [];
    const point = this.toPlainArray(query);
    this.index.setEf(count);
    try {
      // The callback must not throw, or the process ends; a look into a bitmap cannot.
      const filter = allowed && ((label: number) => allowed.has(label));
      return this.index.searchKnn(point, wanted, filter).neighbors;
    } finally {
      this.index.setEf(this.shape.ef);
    }
  }

  /** Writes the graph. The library reports no failure to write: check the file before relying on it. */
  save(path: string): void {
    this.index.writeIndexSync(path);
  }

  private toPlainArray(vector: Float32Array): number[] {
    if (vector.length !== this.shape.dimension)
      throw new Error(`a vector of ${vector.length} elements for the graph`);
    for (let i = 0; i < vector.length; i++) {
      const element = vector[i]!;
      if (!Number.isFinite(element)) throw new Error('a vector that is not finite for the graph');
      this.scratch[i] = element;
    }
    return this.scratch;
  }
}

/** Marks in the file survive reading it, but the library tells of them only by this exception. */
function markDeletedOnce(index: HierarchicalNSW, label: number): void {
  try {
    index.markDelete(label);
  } catch (error) {
    if (!(error instanceof Error && error.message.includes('already deleted'))) throw error;
  }
}
