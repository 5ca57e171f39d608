/** An element found by a scan: where it lies in its table, and its score. */
export interface Ranked {
  readonly slot: number;
  readonly score: number;
}

/**
 * The best `k` of what is offered: highest score first, equal scores by `compareSlots`. A binary heap
 * with the worst on top.
 */
export class Nearest {
  private readonly heap: Ranked[] = [];

  /** @param compareSlots negative when the first slot goes before the second at equal scores */
  constructor(
    private readonly k: number,
    private readonly compareSlots: (a: number, b: number) => number,
  ) {}

  get size(): number {
    return this.heap.length;
  }

  /** The score below which nothing is taken any more. */
  get floor(): number {
    return this.heap.length < this.k ? -Infinity : this.heap[0]!.score;
  }

  offer(slot: number, score: number): void {
    const { heap } = this;
    const candidate = { slot, score };
    if (heap.length < this.k) {
      heap.push(candidate);
      this.siftUp(heap.length - 1);
    } else if (this.compare(candidate, heap[0]!) < 0) {
      heap[0] = candidate;
      this.siftDown();
    }
  }

  /** What has been kept, best first. */
  ranked(): Ranked[] {
    return [...this.heap].sort((a, b) => this.compare(a, b));
  }

  private compare(a: Ranked, b: Ranked): number {
    return b.score - a.score || this.compareSlots(a.slot, b.slot);
  }

  private siftUp(start: number): void {
    const { heap } = this;
    for (let child = start; child > 0;) {
      const parent = (child - 1) >> 1;
      if (this.compare(heap[parent]!, heap[child]!) >= 0) return;
      [heap[parent], heap[child]] = [heap[child]!, heap[parent]!];
      child = parent;
    }
  }

  private siftDown(): void {
    const { heap } = this;
    for (let parent = 0; ;) {
      const left = 2 * parent + 1;
      if (left >= heap.length) return;
      const right = left + 1;
      const worse = right < heap.length && this.compare(heap[right]!, heap[left]!) > 0 ? right : left;
      if (this.compare(heap[parent]!, heap[worse]!) >= 0) return;
      [heap[parent], heap[worse]] = [heap[worse]!, heap[parent]!];
      parent = worse;
    }
  }
}
