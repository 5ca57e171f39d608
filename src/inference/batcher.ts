import type { Pixels } from '../vision/pixels.js';
import type { AskedFeature, Features } from './features.js';

export interface BatchRequest {
  readonly pixels: Pixels;
  readonly names: readonly AskedFeature[];
}

/** Runs one batch: same size, same features asked for. Answers in the order of `requests`. */
export type RunBatch = (requests: readonly BatchRequest[]) => Promise<Features[]>;

export interface BatcherOptions {
  readonly run: RunBatch;
  /** Batches that may run at the same time: the number of workers. */
  readonly concurrency: number;
  /** Images per batch at most. */
  readonly maxBatch: number;
  readonly observe?: {
    batch(size: number, queuedSeconds: readonly number[]): void;
  };
}

interface Entry extends BatchRequest {
  readonly key: string;
  readonly queuedAt: number;
  readonly signal: AbortSignal | undefined;
  resolve(features: Features): void;
  reject(error: unknown): void;
}

/**
 * Groups images that wait into batches. It pulls when a worker is free, so the batch grows with the load and an
 * idle service answers at once, without a timer. The oldest image leads; those of the same size and the same
 * features join it. Images whose caller has gone are dropped before they cost inference.
 */
export class Batcher {
  readonly #options: BatcherOptions;
  #queue: Entry[] = [];
  #running = 0;

  constructor(options: BatcherOptions) {
    this.#options = options;
  }

  /** Images waiting now. */
  get length(): number {
    return this.#queue.length;
  }

  /** @throws whatever the run throws; the signal's reason when aborted */
  submit(request: BatchRequest, signal?: AbortSignal): Promise<Features> {
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    return new Promise<Features>((resolve, reject) => {
      const { width, height } = request.pixels;
      const key = `${width}x${height} ${[...request.names].sort().join()}`;
      this.#queue.push({ ...request, key, queuedAt: performance.now(), signal, resolve, reject });
      this.#pull();
    });
  }

  #pull(): void {
    while (this.#running < this.#options.concurrency) {
      const batch = this.#nextBatch();
      if (batch.length === 0) return;
      void this.#process(batch);
    }
  }

  #nextBatch(): Entry[] {
    const batch: Entry[] = [];
    const rest: Entry[] = [];
    for (const entry of this.#queue) {
      if (entry.signal?.aborted) {
        entry.reject(entry.signal.reason);
      } else if (
        batch.length < this.#options.maxBatch &&
        (batch.length === 0 || batch[0]!.key === entry.key)
      ) {
        batch.push(entry);
      } else {
        rest.push(entry);
      }
    }
    this.#queue = rest;
    return batch;
  }

  async #process(batch: Entry[]): Promise<void> {
    this.#running += 1;
    const now = performance.now();
    this.#options.observe?.batch(
      batch.length,
      batch.map((entry) => (now - entry.queuedAt) / 1000),
    );
    try {
      const features = await this.#options.run(batch);
      batch.forEach((entry, i) => entry.resolve(features[i]!));
    } catch (error) {
      for (const entry of batch) entry.reject(error);
    } finally {
      this.#running -= 1;
      this.#pull();
    }
  }
}
