import { availableParallelism } from 'node:os';
import { PRIORITIES, type Caller, type Priority } from '../caller.js';
import { Turns } from '../turns.js';

export interface DecodeQueueOptions {
  /** Images decoded at once; 0: see `defaultSlots`. */
  readonly slots: number;
  readonly observe?: {
    decoded(queuedSeconds: number, seconds: number): void;
  };
}

interface Waiting {
  readonly caller: Caller | undefined;
  start(): void;
  drop(): void;
}

/**
 * Bounds how many images are decoded at once, so that those that wait can still be put in order, and dropped. The
 * oldest goes first, interactive before bulk as `Turns` has it.
 */
export class DecodeQueue {
  readonly #slots: number;
  readonly #observe: DecodeQueueOptions['observe'];
  readonly #turns = new Turns();
  readonly #waiting: Record<Priority, Waiting[]> = { interactive: [], bulk: [] };
  #decoding = 0;

  constructor({ slots, observe }: DecodeQueueOptions) {
    this.#slots = slots || defaultSlots();
    this.#observe = observe;
  }

  /** Images waiting now. */
  get length(): number {
    return this.#waiting.interactive.length + this.#waiting.bulk.length;
  }

  /**
   * @param work decodes an image
   * @param caller default: an interactive one that stays
   * @throws whatever the work throws; the reason of the caller's signal when it is aborted before the work begins
   */
  async run<T>(work: () => Promise<T>, caller?: Caller): Promise<T> {
    const queuedAt = performance.now();
    await this.#enter(caller);
    const startedAt = performance.now();
    const leave = caller?.timings?.begin('decode');
    try {
      return await work();
    } finally {
      leave?.();
      this.#observe?.decoded((startedAt - queuedAt) / 1000, (performance.now() - startedAt) / 1000);
      this.#decoding -= 1;
      this.#startNext();
    }
  }

  #enter(caller: Caller | undefined): Promise<void> {
    const leave = caller?.timings?.begin('queue');
    return new Promise((resolve, reject) => {
      this.#waiting[caller?.priority ?? 'interactive'].push({
        caller,
        start() {
          leave?.();
          resolve();
        },
        drop() {
          leave?.();
          reject(caller!.signal.reason as Error);
        },
      });
      this.#startNext();
    });
  }

  #startNext(): void {
    for (const priority of PRIORITIES) {
      const line = this.#waiting[priority];
      if (!line.some(hasLeft)) continue;
      this.#waiting[priority] = line.filter((image) => !hasLeft(image));
      for (const image of line.filter(hasLeft)) image.drop();
    }
    const { interactive, bulk } = this.#waiting;
    while (this.#decoding < this.#slots) {
      const priority = this.#turns.next({ interactive: interactive.length > 0, bulk: bulk.length > 0 });
      if (priority === undefined) return;
      this.#decoding += 1;
      this.#waiting[priority].shift()!.start();
    }
  }
}

/** One per core, and of libuv's threads, on which sharp decodes, one is left to files. */
export function defaultSlots(): number {
  const threads = Number(process.env.UV_THREADPOOL_SIZE) || 4;
  return Math.max(1, Math.min(availableParallelism(), threads - 1));
}

function hasLeft({ caller }: Waiting): boolean {
  return caller?.signal.aborted === true;
}
