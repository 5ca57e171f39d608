import { BEST_INSTRUCTIONS, nativeIndex } from './native-index.js';
import type { NativeGraph } from './native-index.js';
import type { VectorTable } from './vector-table.js';

/** The inner product; on unit vectors, the cosine. */
export const GRAPH_SPACE = 'ip';

/** How long a wait for a save lasts where nothing else is to be done. */
const SAVE_WAIT_MS = 1000;

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

/**
 * An HNSW graph over unit vectors, addressed by label (uint32). Elements are never replaced, only marked as
 * deleted.
 */
export class HnswGraph {
  private constructor(
    private readonly index: NativeGraph,
    private readonly shape: GraphShape,
  ) {}

  static create(shape: GraphShape): HnswGraph {
    const { dimension, m, efConstruction } = shape;
    return new HnswGraph(new nativeIndex.Graph(dimension, m, efConstruction, BEST_INSTRUCTIONS), shape);
  }

  /**
   * Reads a file of `save`.
   *
   * @param isLive whether the element with this label still exists; the others are marked as deleted
   * @throws Error when it is not a whole file of this shape
   */
  static load(path: string, shape: GraphShape, isLive: (label: number) => boolean): HnswGraph {
    const { dimension, m, efConstruction } = shape;
    const index = new nativeIndex.Graph(dimension, m, efConstruction, BEST_INSTRUCTIONS, path);
    for (const label of index.labels()) if (!isLive(label)) index.markDeleted(label);
    return new HnswGraph(index, shape);
  }

  /** Elements in the graph, deleted ones included. */
  get size(): number {
    return this.index.size;
  }

  /** Elements marked as deleted. */
  get deleted(): number {
    return this.index.deleted;
  }

  /** Memory of the elements, in bytes. */
  get bytes(): number {
    return this.index.bytes;
  }

  /** Candidates kept by a search that does not say otherwise. */
  get ef(): number {
    return this.shape.ef;
  }

  /** Labels in the graph, deleted ones included, in the order in which they were added. */
  labels(): Uint32Array {
    return this.index.labels();
  }

  /**
   * Adds vectors of the table, shared among native threads.
   *
   * @param labels uint32, in the table and never before in this graph
   */
  add(labels: readonly number[], vectors: VectorTable, threads = 1): void {
    const slots = Uint32Array.from(labels, (label) => vectors.slotOf(label));
    this.index.add(vectors.store, slots, toUint32(labels), threads);
  }

  /** @param label one that is in the graph and not deleted */
  markDeleted(label: number): void {
    this.index.markDeleted(label);
  }

  /**
   * Labels of about the nearest `count` elements, nearest first, and of those exactly as near as the last of them; fewer
   * where the graph does not lead to more.
   *
   * @param query unit vector
   * @param count at least 1
   * @param allowed labels that may be found; undefined: all that are not deleted
   * @param ef candidates kept on the way, where these are more than `count`
   */
  search(query: Float32Array, count: number, allowed: readonly number[] | undefined, ef = count): number[] {
    const { labels, counts } = this.index.search(query, count, ef, allowed && toUint32(allowed), 1);
    return Array.from(labels.subarray(0, counts[0]));
  }

  /**
   * `search` for many queries, shared among native threads.
   *
   * @param queries unit vectors, one after the other
   * @returns a list of labels per query, in order
   */
  searchMany(
    queries: Float32Array,
    count: number,
    allowed: readonly number[] | undefined,
    threads: number,
    ef = count,
  ): number[][] {
    const { labels, counts } = this.index.search(queries, count, ef, allowed && toUint32(allowed), threads);
    const width = labels.length / counts.length;
    return Array.from(counts, (found, row) => Array.from(labels.subarray(row * width, row * width + found)));
  }

  /** Writes the graph and waits until it is on disk. @throws Error when it could not be written */
  save(path: string): void {
    this.startSave(path);
    while (!this.finishSave(SAVE_WAIT_MS));
  }

  /** Begins to write the graph in a thread; until `finishSave` says true or throws it must not be changed. */
  startSave(path: string): void {
    this.index.startSave(path);
  }

  /** @returns whether the file is on disk, after waiting so long at most @throws Error when it could not be written */
  finishSave(milliseconds: number): boolean {
    return this.index.finishSave(milliseconds);
  }
}

function toUint32(labels: readonly number[]): Uint32Array {
  const array = Uint32Array.from(labels);
  const cut = labels.findIndex((label, i) => array[i] !== label);
  if (cut >= 0) throw new Error(`${labels[cut]} is not a uint32 label`);
  return array;
}
