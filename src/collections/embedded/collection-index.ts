import type { GraphFiles } from './graph-files.js';
import type { GraphSave } from './graph-save.js';
import { planSearch } from './search-plan.js';
import type { CollectionRow } from './sqlite-catalog.js';
import { TrackedGraph } from './tracked-graph.js';
import { VectorTable } from './vector-table.js';
import type { ScoredLabel } from './vector-table.js';

export interface IndexOptions {
  readonly collection: CollectionRow;
  readonly files: GraphFiles;
  /** A graph is built once the collection has this many vectors. */
  readonly exactBelow: number;
  /** Changes to the graph after which it is saved; at least a fifth of its size, too. */
  readonly saveGraphEvery: number;
  /** Native threads that share long scans and the building of the graph. */
  readonly threads: number;
  /** Told what went wrong with derived data and what becomes of it. */
  readonly warn: (message: string) => void;
}

export interface IndexQuery {
  /** Unit vector. */
  readonly vector: Float32Array;
  readonly k: number;
  /** Candidates kept in the graph. */
  readonly ef: number;
  readonly exact: boolean | undefined;
  /** Labels that may be found; undefined: all. */
  readonly matching: readonly number[] | undefined;
  /** Labels in the collection that are not to be found. */
  readonly excluded: ReadonlySet<number>;
  /** Cosine below which nothing is found, -1..1; default -1. */
  readonly minScore?: number;
}

/** The state of what is derived from a collection's vectors. */
export interface IndexStatus {
  /** Vectors in memory: one per image. */
  readonly vectors: number;
  /** Native memory of the vectors and the graph, of objects too, in bytes. */
  readonly bytes: number;
  /** The HNSW graph; null while there is none and searches scan. */
  readonly graph: {
    /** Elements, deleted ones included. */
    readonly elements: number;
    readonly deleted: number;
    /** Vectors that it does not hold yet; searches scan those beside it. */
    readonly missing: number;
    /** Candidates kept by a search that does not say otherwise. */
    readonly ef: number;
  } | null;
  /** Whether work on the graph is left to do. */
  readonly upkeep: boolean;
}

/**
 * A collection's vectors and the graph over them. The vectors are always complete; the graph follows
 * in slices of `upkeep`, and what it does not hold yet is scanned, so that every search sees every
 * change at once.
 *
 * There is a graph once the collection has had `exactBelow` vectors, a query asked for it
 * (`exact: false`), or one was on disk; before that, scanning is faster than any graph.
 */
export class CollectionIndex {
  readonly vectors: VectorTable;
  private current: TrackedGraph | undefined;
  /** Built beside `current` when that is sparse, and put in its place when complete. */
  private replacement: TrackedGraph | undefined;
  private saving: GraphSave | undefined;
  private asked = false;
  private failed = false;
  private unsaved = 0;

  constructor(private readonly options: IndexOptions) {
    this.vectors = new VectorTable(options.collection.dimension, options.threads);
  }

  /** Reads the graph from disk once the vectors are complete. @param nextLabel the next the database gives */
  loadGraph(nextLabel: number): void {
    const { files, collection, warn } = this.options;
    const { graph, ...rest } = files.load(collection, nextLabel, (label) => this.vectors.has(label));
    if (graph !== undefined) this.current = TrackedGraph.resume(graph, this.vectors, this.options.threads);
    else if ('problem' in rest && rest.problem !== undefined) {
      this.asked = true;
      warn(
        `The graph of collection "${collection.name}" cannot be used (${rest.problem}). It is built anew; until then searches scan.`,
      );
    }
  }

  /** Takes in the vector of a new version. `vectors.reserve` first: this must not fail after a commit. */
  insert(label: number, id: string, vector: Float32Array): void {
    this.vectors.add(label, id, vector);
    this.current?.insert(label);
    this.replacement?.insert(label);
  }

  /** Forgets a version that has been replaced or deleted. */
  remove(label: number): void {
    this.vectors.delete(label);
    this.guard(() => {
      if (this.current?.remove(label, this.saving?.isWriting ?? false)) this.unsaved++;
      this.replacement?.remove(label, false);
    });
  }

  /** Nearest first, equal scores in ascending order of id; `k` of them wherever as many may be found and reach `minScore`. */
  search(query: IndexQuery): ScoredLabel[] {
    if (query.exact === false) this.asked = true;
    const { vector, k, excluded, minScore = -1 } = query;
    const matching = query.matching?.filter((label) => !excluded.has(label));
    const wanted = Math.max(query.ef, k) + excluded.size;
    const plan = planSearch({
      exact: query.exact,
      live: this.vectors.size,
      pool: matching?.length ?? this.vectors.size,
      candidates: wanted,
      missing: this.current?.missing.size,
      exactBelow: this.options.exactBelow,
    });
    if (plan === 'graph') {
      const found = this.searchGraph(vector, k, wanted, matching, excluded);
      const possible = matching?.length ?? this.vectors.size - excluded.size;
      const good = found.filter(({ score }) => score >= minScore);
      // Where minScore cuts the answer short, something that the graph missed may reach it.
      const isShort = good.length < Math.min(k, possible) && query.exact !== false;
      if (found.length >= Math.min(k, possible) && !isShort) return good;
    }
    return this.vectors.nearest(vector, k, matching, excluded).filter(({ score }) => score >= minScore);
  }

  private searchGraph(
    vector: Float32Array,
    k: number,
    wanted: number,
    matching: readonly number[] | undefined,
    excluded: ReadonlySet<number>,
  ): ScoredLabel[] {
    const { graph, missing, surplus } = this.current!;
    // What is farther away than so many others cannot be among the best k, and is not looked up.
    const nearest = k + excluded.size + surplus;
    const found = graph.search(vector, nearest, matching, wanted + surplus);
    const known = surplus === 0 ? found : found.filter((label) => this.vectors.has(label));
    if (missing.size > 0) known.push(...(matching?.filter((label) => missing.has(label)) ?? missing));
    // Scored anew, so that a hit has the same score by whichever way it was found.
    return this.vectors.nearest(vector, k, known, excluded);
  }

  get needsUpkeep(): boolean {
    if (this.failed) return false;
    if (this.current === undefined) return this.wantsGraph;
    return (
      this.saving !== undefined ||
      this.current.missing.size > 0 ||
      this.replacement !== undefined ||
      this.current.isSparse ||
      this.isSaveDue
    );
  }

  /** Brings the graph closer to the vectors, for as long as `mayGoOn` says and at least one step. */
  upkeep(mayGoOn: () => boolean): void {
    if (this.saving !== undefined && !this.stepSave(mayGoOn)) return;
    this.guard(() => {
      this.current ??= this.createGraph();
      this.unsaved += this.current.catchUp(this.vectors, mayGoOn);
      if (this.current.missing.size > 0) return;
      if (this.current.isSparse) this.replacement ??= this.createGraph();
      if (this.replacement !== undefined) {
        this.replacement.catchUp(this.vectors, mayGoOn);
        if (this.replacement.missing.size > 0) return;
        this.current = this.replacement;
        this.replacement = undefined;
        this.unsaved = Math.max(this.unsaved, this.current.graph.size);
      }
    });
    if (this.isSaveDue) this.startSave();
  }

  /** Writes the graph to disk where it has changed, and waits for it. */
  save(): void {
    const always = (): boolean => true;
    while (this.saving !== undefined) this.stepSave(always);
    if (this.current === undefined || this.unsaved === 0) return;
    // What was deleted during the save before is marked first; what is missing is added at the next start.
    this.guard(() => this.current?.markRemoved());
    this.startSave();
    while (this.saving !== undefined) this.stepSave(always);
  }

  /** Ends what goes on in the background, for an index that is not used any more. */
  dispose(): void {
    this.saving?.abandon();
    this.saving = undefined;
  }

  private startSave(): void {
    if (this.current === undefined) return;
    // Also after a failure: the next attempt comes after as many changes again, not at once.
    this.unsaved = 0;
    try {
      this.saving = this.options.files.startSave(this.options.collection, this.current.graph);
    } catch (error) {
      this.warnOfSave(error);
    }
  }

  /** @returns whether no save is under way any more */
  private stepSave(mayGoOn: () => boolean): boolean {
    try {
      if (!this.saving!.step(mayGoOn)) return false;
    } catch (error) {
      this.warnOfSave(error);
    }
    this.saving = undefined;
    return true;
  }

  private warnOfSave(error: unknown): void {
    this.options.warn(
      `The graph of collection "${this.options.collection.name}" could not be saved (${messageOf(error)}). Nothing is lost; the next start takes longer.`,
    );
  }

  private createGraph(): TrackedGraph {
    return TrackedGraph.create(this.options.collection, this.vectors, this.options.threads);
  }

  status(): IndexStatus {
    const graph = this.current && {
      elements: this.current.graph.size,
      deleted: this.current.graph.deleted,
      missing: this.current.missing.size,
      ef: this.current.graph.ef,
    };
    return {
      vectors: this.vectors.size,
      bytes:
        this.vectors.store.bytes + (this.current?.graph.bytes ?? 0) + (this.replacement?.graph.bytes ?? 0),
      graph: graph ?? null,
      upkeep: this.needsUpkeep,
    };
  }

  private get wantsGraph(): boolean {
    return this.vectors.size > 0 && (this.asked || this.vectors.size >= this.options.exactBelow);
  }

  private get isSaveDue(): boolean {
    return this.unsaved >= Math.max(this.options.saveGraphEvery, this.vectors.size / 5);
  }

  /** Derived data that fails must not fail a write that is already on disk. */
  private guard(work: () => void): void {
    if (this.failed) return;
    try {
      work();
    } catch (error) {
      this.failed = true;
      this.dispose();
      this.current = undefined;
      this.replacement = undefined;
      this.options.warn(
        `The graph of collection "${this.options.collection.name}" failed (${messageOf(error)}). Searches scan until the next start.`,
      );
    }
  }
}

/** The state of a collection's images, with the memory and the work of its objects. */
export function withObjects(images: IndexStatus, objects: IndexStatus): IndexStatus {
  return {
    ...images,
    bytes: images.bytes + objects.bytes,
    upkeep: images.upkeep || objects.upkeep,
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
