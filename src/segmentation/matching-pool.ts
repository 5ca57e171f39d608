import { Piscina } from 'piscina';
import { DinoError } from '../errors.js';
import { assertAlike, type MatchesBothWays, type PatchFeatures } from './best-matches.js';
import { assertBinnable } from './binned-matches.js';
import { assertKeyShape } from './key-features.js';
import type { MatchingTask } from './matching-worker.js';

export interface MatchingPoolOptions {
  /** Worker threads at most, from 1; each matches two images at a time. Default 1. */
  readonly threads?: number;
  /** Pairs of images waiting for a thread before new ones are refused, from 1; default 32. */
  readonly queueLimit?: number;
}

/** Matches the patches of two images in worker threads, which start when the first pair comes. */
export class MatchingPool {
  readonly #pool: Piscina<MatchingTask, MatchesBothWays>;
  readonly #queueLimit: number;
  readonly #unfinished = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor({ threads = 1, queueLimit = 32 }: MatchingPoolOptions = {}) {
    this.#queueLimit = queueLimit;
    this.#pool = new Piscina<MatchingTask, MatchesBothWays>({
      filename: new URL('./matching-worker.js', import.meta.url).href,
      minThreads: 0,
      maxThreads: threads,
      idleTimeout: Infinity,
      concurrentTasksPerWorker: 1,
    });
  }

  /** Pairs of images waiting for a thread. */
  get queueLength(): number {
    return this.#pool.queueSize;
  }

  /**
   * The matches that `bestMatches` or `binnedMatches` finds.
   *
   * @param task arrays of features that are all of their buffer are handed to the worker and are empty afterwards;
   *   those that are a part of a larger buffer are copied
   * @param signal takes the images out of the queue, or ends the thread that works on them; another starts in its place
   * @throws DinoError `overloaded` when too many wait, `not-ready` once the pool closes, `invalid-request` for too
   *   many patches; RangeError as the functions do; an AbortError when the signal aborts
   */
  async run(task: MatchingTask, signal?: AbortSignal): Promise<MatchesBothWays> {
    signal?.throwIfAborted();
    if (this.#isClosed) throw new DinoError('not-ready', 'The service is closing and takes no more images.');
    // An error's class doesn't cross from a worker: what the caller can mend is found here.
    assertAlike(task.first, task.second);
    for (const { values, dimension, grid } of [task.first, task.second]) {
      assertKeyShape({ keys: values, dimension, grid });
      if (task.binned) assertBinnable(grid);
    }
    if (this.queueLength >= this.#queueLimit) {
      const detail = `${this.queueLength} pairs of images are waiting already. Try again in a moment.`;
      throw new DinoError('overloaded', detail, { retryAfterSeconds: 1 });
    }
    const [first, second] = [whole(task.first), whole(task.second)];
    const transferList = [first.values.buffer as ArrayBuffer, second.values.buffer as ArrayBuffer];
    const found = this.#pool.run({ ...task, first, second }, { transferList, signal });
    this.#unfinished.add(found);
    const forget = () => this.#unfinished.delete(found);
    found.then(forget, forget);
    return found;
  }

  /** Waits for what is running and waiting, then ends the threads. */
  async close(): Promise<void> {
    this.#isClosed = true;
    // Piscina's own close drops what waits (5.3.2).
    await Promise.allSettled(this.#unfinished);
    await this.#pool.destroy();
  }
}

function whole(features: PatchFeatures): PatchFeatures {
  const { values } = features;
  const isWhole = values.byteLength === values.buffer.byteLength;
  return isWhole ? features : { ...features, values: values.slice() };
}
