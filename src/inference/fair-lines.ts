export interface Costed {
  /** Only what has the same key can share a batch. */
  readonly key: string;
  /** Patches that the model has to look at. */
  readonly patches: number;
}

export interface BatchBounds {
  /** Images per batch at most. */
  readonly images: number;
  /** Patches per batch at most; a single image is a batch however many it has. */
  readonly patches: number;
}

/**
 * What waits, in a line per key, where every line that is not empty gets the same share of the patches that are run:
 * start-time fair queueing (Goyal, Vin and Cheng, "Start-time fair queueing", SIGCOMM 1996). So no line starves, and a
 * small image waits for one batch of the large ones and not for all that came before it.
 */
export class FairLines<Entry extends Costed> {
  readonly #lines = new Map<string, Entry[]>();
  /** Where a line stands in virtual time, in patches: the one that is least far goes next. */
  readonly #starts = new Map<string, number>();
  #virtualTime = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(entry: Entry): void {
    const line = this.#lines.get(entry.key);
    this.#length += 1;
    if (line !== undefined) {
      line.push(entry);
      return;
    }
    this.#lines.set(entry.key, [entry]);
    // What a line has had lately counts, so that one that empties at every turn gains nothing by it.
    const start = Math.max(this.#virtualTime, this.#starts.get(entry.key) ?? 0);
    this.#starts.set(entry.key, start);
  }

  /** Takes out whatever `isGone`. @returns it */
  drop(isGone: (entry: Entry) => boolean): Entry[] {
    const gone: Entry[] = [];
    for (const [key, line] of this.#lines) {
      if (!line.some(isGone)) continue;
      gone.push(...line.filter(isGone));
      this.#keep(
        key,
        line.filter((entry) => !isGone(entry)),
      );
    }
    this.#length -= gone.length;
    return gone;
  }

  /** Takes out the next batch, the oldest of its line first; empty where nothing waits. */
  take(bounds: BatchBounds): Entry[] {
    const key = this.#next();
    if (key === undefined) return [];
    const line = this.#lines.get(key)!;
    let patches = 0;
    const batch: Entry[] = [];
    for (const entry of line) {
      const isFull = batch.length >= bounds.images || patches + entry.patches > bounds.patches;
      if (isFull && batch.length > 0) break;
      batch.push(entry);
      patches += entry.patches;
    }
    this.#virtualTime = this.#starts.get(key)!;
    this.#starts.set(key, this.#virtualTime + patches);
    this.#keep(key, line.slice(batch.length));
    this.#length -= batch.length;
    this.#forget();
    return batch;
  }

  /** To be called when everything has run: what lines have had until now counts no more. */
  settle(): void {
    if (this.#lines.size === 0) this.#starts.clear();
  }

  /** Lines that stand level go in the order in which they came to be. */
  #next(): string | undefined {
    let next: string | undefined;
    for (const key of this.#lines.keys()) {
      if (next === undefined || this.#starts.get(key)! < this.#starts.get(next)!) next = key;
    }
    return next;
  }

  #keep(key: string, line: Entry[]): void {
    if (line.length === 0) this.#lines.delete(key);
    else this.#lines.set(key, line);
  }

  /** An empty line that the others have caught up with would start where they are. */
  #forget(): void {
    for (const [key, start] of this.#starts) {
      if (start <= this.#virtualTime && !this.#lines.has(key)) this.#starts.delete(key);
    }
  }
}
