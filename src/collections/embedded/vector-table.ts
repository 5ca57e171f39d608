import { compareIds } from '../id-order.js';
import { Nearest } from './nearest.js';

/** Elements per chunk of memory: 1 MiB of float32. Growing adds chunks and copies nothing. */
const CHUNK_ELEMENTS = 2 ** 18;

export interface ScoredLabel {
  readonly label: number;
  readonly id: string;
  /** Cosine, -1..1. */
  readonly score: number;
}

/**
 * The unit vectors of a collection in memory, found by label, packed without holes for scanning. Ids
 * are held beside them because they decide between equal scores.
 */
export class VectorTable {
  private readonly chunks: Float32Array[] = [];
  private readonly rowsPerChunk: number;
  private readonly labels: number[] = [];
  private readonly ids: string[] = [];
  private readonly slots = new Map<number, number>();

  /** @param dimension elements per vector */
  constructor(readonly dimension: number) {
    this.rowsPerChunk = Math.max(1, Math.floor(CHUNK_ELEMENTS / dimension));
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
    const chunks = Math.ceil((this.size + count) / this.rowsPerChunk);
    while (this.chunks.length < chunks)
      this.chunks.push(new Float32Array(this.rowsPerChunk * this.dimension));
  }

  /** Copies in a unit vector under a label that is not there yet. */
  add(label: number, id: string, vector: Float32Array): void {
    this.reserve(1);
    const slot = this.size;
    this.view(slot).set(vector);
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
    this.view(slot).set(this.view(this.labels.length));
    this.labels[slot] = lastLabel;
    this.ids[slot] = lastId;
    this.slots.set(lastLabel, slot);
  }

  /** The vector under a label that is there; valid until the next `delete`. */
  get(label: number): Float32Array {
    return this.view(this.slotOf(label));
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
    else {
      for (const label of among) {
        if (excluded.has(label)) continue;
        const slot = this.slotOf(label);
        best.offer(slot, this.score(query, slot));
      }
    }
    return best
      .ranked()
      .map(({ slot, score }) => ({ label: this.labels[slot]!, id: this.ids[slot]!, score }));
  }

  private scanAll(query: Float32Array, best: Nearest, excluded: ReadonlySet<number>): void {
    for (let slot = 0; slot < this.size; slot++) {
      const score = this.score(query, slot);
      if (score >= best.floor && !excluded.has(this.labels[slot]!)) best.offer(slot, score);
    }
  }

  private score(query: Float32Array, slot: number): number {
    const chunk = this.chunks[Math.floor(slot / this.rowsPerChunk)];
    const product = dot(query, chunk!, (slot % this.rowsPerChunk) * this.dimension);
    return Math.min(1, Math.max(-1, product));
  }

  private slotOf(label: number): number {
    const slot = this.slots.get(label);
    if (slot === undefined) throw new Error(`label ${label} is not in the vector table`);
    return slot;
  }

  private view(slot: number): Float32Array {
    const start = (slot % this.rowsPerChunk) * this.dimension;
    return this.chunks[Math.floor(slot / this.rowsPerChunk)]!.subarray(start, start + this.dimension);
  }
}

/** Inner product of `query` with the elements of `table` from `offset`; four sums keep the processor busy. */
function dot(query: Float32Array, table: Float32Array, offset: number): number {
  const length = query.length;
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i + 3 < length; i += 4) {
    a += query[i]! * table[offset + i]!;
    b += query[i + 1]! * table[offset + i + 1]!;
    c += query[i + 2]! * table[offset + i + 2]!;
    d += query[i + 3]! * table[offset + i + 3]!;
  }
  for (; i < length; i++) a += query[i]! * table[offset + i]!;
  return a + b + (c + d);
}
