import { PRIORITIES, type Caller, type Priority } from '../caller.js';
import { Turns } from '../turns.js';
import type { Pixels } from '../vision/pixels.js';
import { FairLines, type BatchBounds } from './fair-lines.js';
import type { AskedFeature, Features } from './features.js';

export interface BatchRequest {
  readonly pixels: Pixels;
  /** Patches that the model makes of them. */
  readonly patches: number;
  readonly names: readonly AskedFeature[];
}

/** Runs one batch: same size, same features asked for. Answers in the order of `requests`. */
export type RunBatch = (requests: readonly BatchRequest[]) => Promise<Features[]>;

export interface BatcherOptions {
  readonly run: RunBatch;
  /** Batches that may run at the same time: the number of workers. */
  readonly concurrency: number;
  readonly bounds: BatchBounds;
  readonly observe?: {
    batch(size: number, queuedSeconds: readonly number[]): void;
  };
}

interface Entry extends BatchRequest {
  readonly key: string;
  readonly queuedAt: number;
  readonly caller: Caller | undefined;
  readonly leaveQueue: () => void;
  readonly resolve: (features: Features) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Groups images that wait into batches. It pulls when a worker is free, so the batch grows with the load and an
 * idle service answers at once, without a timer. A batch has images of one priority, one size and the same features
 * asked for; which is next is up to `Turns` and `FairLines`. Images whose caller has gone are dropped before they
 * cost inference.
 */
export class Batcher {
  readonly #options: BatcherOptions;
  readonly #turns = new Turns();
  readonly #waiting: Readonly<Record<Priority, FairLines<Entry>>> = {
    interactive: new FairLines(),
    bulk: new FairLines(),
  };
  #running = 0;

  constructor(options: BatcherOptions) {
    this.#options = options;
  }

  /** Images waiting now. */
  get length(): number {
    return this.#waiting.interactive.length + this.#waiting.bulk.length;
  }

  /**
   * @param caller default: an interactive one that stays
   * @throws whatever the run throws; the reason of the caller's signal when aborted
   */
  submit(request: BatchRequest, caller?: Caller): Promise<Features> {
    if (caller?.signal.aborted) return Promise.reject(caller.signal.reason as Error);
    return new Promise<Features>((resolve, reject) => {
      const { width, height } = request.pixels;
      this.#waiting[caller?.priority ?? 'interactive'].push({
        ...request,
        key: `${width}x${height} ${[...request.names].sort().join()}`,
        queuedAt: performance.now(),
        caller,
        leaveQueue: caller?.timings?.begin('queue') ?? nothing,
        resolve,
        reject,
      });
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
    for (const priority of PRIORITIES) {
      for (const { caller, leaveQueue, reject } of this.#waiting[priority].drop(hasLeft)) {
        leaveQueue();
        reject(caller!.signal.reason);
      }
    }
    const { interactive, bulk } = this.#waiting;
    const priority = this.#turns.next({ interactive: interactive.length > 0, bulk: bulk.length > 0 });
    if (priority !== undefined) return this.#waiting[priority].take(this.#options.bounds);
    interactive.settle();
    bulk.settle();
    return [];
  }

  async #process(batch: Entry[]): Promise<void> {
    this.#running += 1;
    const now = performance.now();
    this.#options.observe?.batch(
      batch.length,
      batch.map((entry) => (now - entry.queuedAt) / 1000),
    );
    const leaveModel = batch.map(({ caller, leaveQueue }) => {
      leaveQueue();
      return caller?.timings?.begin('inference') ?? nothing;
    });
    try {
      const features = await this.#options.run(batch);
      leaveModel.forEach((leave) => leave());
      batch.forEach((entry, i) => entry.resolve(features[i]!));
    } catch (error) {
      leaveModel.forEach((leave) => leave());
      for (const entry of batch) entry.reject(error);
    } finally {
      this.#running -= 1;
      this.#pull();
    }
  }
}

function hasLeft({ caller }: Entry): boolean {
  return caller?.signal.aborted === true;
}

function nothing(): void {}
