import { createRequire } from 'node:module';

/** What a processor can run, by which scores are computed: `baseline` runs everywhere. */
export type Instructions = 'avx512' | 'avx2' | 'baseline';

/** Vectors by slot in native memory. Every method throws an Error on arguments that it does not expect. */
export interface NativeVectorStore {
  /** Slots there is room for. */
  readonly capacity: number;
  /** Memory taken, in bytes. */
  readonly bytes: number;
  /** Makes room for this many slots; what is new is zero. */
  reserve(slots: number): void;
  write(slot: number, vector: Float32Array): void;
  move(from: number, to: number): void;
  /** @returns a copy */
  read(slot: number): Float32Array;
  /** Writes the inner products with the slots from `from` on, as many as `scores` has room for. */
  scan(query: Float32Array, from: number, scores: Float32Array, threads: number): void;
  /** Writes the inner product with each of these slots. */
  score(query: Float32Array, slots: Uint32Array, scores: Float32Array): void;
}

/**
 * An HNSW graph over inner products, addressed by label (uint32). Every method throws an Error on arguments that it
 * does not expect. It can be searched, and not changed, between `startSave` and the end of `finishSave`.
 */
export interface NativeGraph {
  /** Elements, deleted ones included. */
  readonly size: number;
  readonly deleted: number;
  /** Memory taken by the elements, in bytes. */
  readonly bytes: number;
  /** All labels, deleted ones included, in the order in which they were added. */
  labels(): Uint32Array;
  /** Adds the vectors in these slots under these labels, none of which may be known. */
  add(store: NativeVectorStore, slots: Uint32Array, labels: Uint32Array, threads: number): void;
  /** @returns false when it was deleted before */
  markDeleted(label: number): boolean;
  /**
   * Looks for about the nearest `k`, and those exactly as near as the last of them.
   *
   * @param queries one or more vectors, one after the other
   * @returns for each query a row of labels, nearest first: `labels.length / counts.length` places, of which the first
   *   `counts[row]` are taken
   */
  search(
    queries: Float32Array,
    k: number,
    ef: number,
    allowed: Uint32Array | undefined,
    threads: number,
  ): { readonly labels: Uint32Array; readonly counts: Uint32Array };
  /** Begins to write the graph to a file, in a thread of its own. */
  startSave(path: string): void;
  /**
   * Waits for the save at most so long. @returns whether it has ended and is on disk
   * @throws Error when it has failed, or when none is under way
   */
  finishSave(milliseconds: number): boolean;
}

interface Addon {
  /** What this processor supports, the fastest first. */
  supportedInstructions(): Instructions[];
  readonly VectorStore: new (dimension: number, instructions: Instructions) => NativeVectorStore;
  /** @param path of a file that `startSave` wrote; without it, the graph is empty */
  readonly Graph: new (
    dimension: number,
    m: number,
    efConstruction: number,
    instructions: Instructions,
    path?: string,
  ) => NativeGraph;
}

/** The addon that `npm run build:native` compiles from `native/`. */
export const nativeIndex = createRequire(import.meta.url)('./vector-index.node') as Addon;

/** The fastest that this processor supports. */
export const BEST_INSTRUCTIONS: Instructions = nativeIndex.supportedInstructions()[0]!;
