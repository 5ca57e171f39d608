import { compareIds } from '../id-order.js';
import { BEST_INSTRUCTIONS, nativeIndex } from './native-index.js';
import type { NativeVectorStore } from './native-index.js';
import { Nearest } from './nearest.js';

/** Scores computed at a time by a scan: they stay in the cache until they are looked at. */
const BLOCK = 2 ** 16;

export interface ScoredLabel {
  readonly label: number;
  readonly id: string;
  /** Cosine, -1..1. */
  readonly score: number;
}

/**
 * The unit vectors of a collection in native memory, found by label, packed without holes for scanning. Ids
 * are held beside them because they decide between equal scores.
 */
export class VectorTable {
  /** Where the vectors lie, by slot; for a graph that takes them from there. */
  readonly store: NativeVectorStore;
  private readonly labels: number[] = [];
  private readonly ids: string[] = [];
  private readonly slots = new Map<number, number>();
  private scores = new Float32Array(0);

  /**
   * @param dimension elements per vector
   * @param threads native threads that a long scan uses
   */
  constructor(
    readonly dimension: number,
    private readonly threads = 1,
  ) {
    this.store = new nativeIndex.VectorStore(dimension, BEST_INSTRUCTIONS);
  }

  /** Vectors held now. */
  get size(): number {
    return this.labels.length;
  }

  has(label: number): boolean {
    return this.slots.has(label);
  }

  /** All labels, in no order. */
  allLabels(): readonly number[] {
    return this.labels;
  }

  /** Makes sure that `count` more vectors fit, so that `add` cannot fail for lack of memory. */
  reserve(count: number): void {
    this.store.reserve(this.size + count);
  }

  /** Copies in a unit vector under a label that is not there yet. */
  add(label: number, id: string, vector: Float32Array): void {
    this.reserve(1);
    const slot = this.size;
    this.store.write(slot, vector);
    this.labels.push(label);
    this.ids.push(id);
    this.slots.set(label, slot);
  }

  /** Removes a label that is there; the last vector moves into its place. */
  delete(label: number): void {
    const slot = this.slotOf(label);
    const lastLabel = this.labels.pop()!;
    const lastId = this.ids.pop()!;
    this.slots.delete(label);
    if (lastLabel === label) return;
    this.store.move(this.labels.length, slot);
    this.labels[slot] = lastLabel;
    this.ids[slot] = lastId;
    this.slots.set(lastLabel, slot);
  }

  /** A copy of the vector under a label that is there. */
  get(label: number): Float32Array {
    return this.store.read(this.slotOf(label));
  }

  /** The id that a label that is there was added with. */
  idOf(label: number): string {
    return this.ids[this.slotOf(label)]!;
  }

  /** Where the vector of a label that is there lies in `store`, until the next `delete`. */
  slotOf(label: number): number {
    const slot = this.slots.get(label);
    if (slot === undefined) throw new Error(`label ${label} is not in the vector table`);
    return slot;
  }

  /**
   * For comparing labels with each other, before the next `delete`.
   *
   * @param labels all of them there
   * @returns the cosines of the i-th label with those after it, in their order; valid until the next call
   */
  scorer(labels: readonly number[]): (i: number) => Float32Array {
    const slots = Uint32Array.from(labels, (label) => this.slotOf(label));
    return (i) => {
      const others = slots.subarray(i + 1);
      const scores = this.room(others.length);
      this.store.score(this.store.read(slots[i]!), others, scores);
      return scores;
    };
  }

  /** Cosines of a label with others, in their order; all of them there. */
  similarities(label: number, others: readonly number[]): Float32Array {
    const scores = new Float32Array(others.length);
    this.store.score(
      this.get(label),
      Uint32Array.from(others, (other) => this.slotOf(other)),
      scores,
    );
    return scores.map(clamp);
  }

  /**
   * The `k` best by cosine with `query`, best first, equal scores in ascending order of id.
   *
   * @param query unit vector
   * @param among labels to compare with, all of them there; undefined: every one
   * @param excluded labels never returned
   */
  nearest(
    query: Float32Array,
    k: number,
    among: Iterable<number> | undefined,
    excluded: ReadonlySet<number>,
  ): ScoredLabel[] {
    const best = new Nearest(k, (a, b) => compareIds(this.ids[a]!, this.ids[b]!));
    if (among === undefined) this.scanAll(query, best, excluded);
    else this.scanSome(query, best, Array.isArray(among) ? among : [...among], excluded);
    return best
      .ranked()
      .map(({ slot, score }) => ({ label: this.labels[slot]!, id: this.ids[slot]!, score }));
  }

  private scanAll(query: Float32Array, best: Nearest, excluded: ReadonlySet<number>): void {
    for (let from = 0; from < this.size; from += BLOCK) {
      const scores = this.room(Math.min(BLOCK, this.size - from));
      this.store.scan(query, from, scores, this.threads);
      for (let i = 0; i < scores.length; i++) {
        const score = scores[i]!;
        if (score < best.floor || excluded.has(this.labels[from + i]!)) continue;
        best.offer(from + i, clamp(score));
      }
    }
  }

  private scanSome(
    query: Float32Array,
    best: Nearest,
    among: readonly number[],
    excluded: ReadonlySet<number>,
  ): void {
    for (let from = 0; from < among.length; from += BLOCK) {
      const labels = among.slice(from, from + BLOCK).filter((label) => !excluded.has(label));
      const slots = Uint32Array.from(labels, (label) => this.slotOf(label));
      const scores = this.room(slots.length);
      this.store.score(query, slots, scores);
      for (let i = 0; i < scores.length; i++) {
        if (scores[i]! >= best.floor) best.offer(slots[i]!, clamp(scores[i]!));
      }
    }
  }

  private room(count: number): Float32Array {
    if (this.scores.length < count) this.scores = new Float32Array(count);
    return this.scores.subarray(0, count);
  }
}

/** Rounding can leave a cosine a hair beyond its bounds. */
function clamp(score: number): number {
  return Math.min(1, Math.max(-1, score));
}
