import { Piscina } from 'piscina';
import { DinoError } from '../errors.js';
import { assertCosegmentable, type Cosegmentation, type CosegmentOptions } from './cosegment.js';
import { assertKeyShape, assertObjects, type KeyMask } from './key-features.js';
import { assertCandidates } from './lost.js';
import type { RefinedMask, RefineOptions } from './refine.js';
import type { Answer, SegmentationTask, Task } from './segmentation-worker.js';
import { assertTau } from './tokencut.js';

export type { SegmentationTask } from './segmentation-worker.js';

export interface SegmentationPoolOptions {
  /** Worker threads, from 1; each finds the masks of one image at a time. Default 1. */
  readonly threads?: number;
  /** Images waiting for a thread before new ones are refused, from 1; default 64. */
  readonly queueLimit?: number;
}

/** Finds masks from key features, and refines masks, in worker threads, so that the event loop goes on meanwhile. */
export class SegmentationPool {
  readonly #pool: Piscina<Task, Answer>;
  readonly #queueLimit: number;
  readonly #unfinished = new Set<Promise<unknown>>();
  #isClosed = false;

  private constructor({ threads = 1, queueLimit = 64 }: SegmentationPoolOptions) {
    this.#queueLimit = queueLimit;
    this.#pool = new Piscina<Task, Answer>({
      filename: new URL('./segmentation-worker.js', import.meta.url).href,
      minThreads: threads,
      maxThreads: threads,
      idleTimeout: Infinity,
      concurrentTasksPerWorker: 1,
    });
  }

  /** Starts the threads and has each ready before the first image comes. */
  static async create(options: SegmentationPoolOptions = {}): Promise<SegmentationPool> {
    const pool = new SegmentationPool(options);
    const blank = () => ({ keys: new Float32Array(1), dimension: 1, grid: { height: 1, width: 1 } });
    try {
      const { threads = 1 } = options;
      await Promise.all(
        Array.from({ length: threads }, () => pool.#findMasks({ method: 'lost', ...blank() })),
      );
    } catch (error) {
      await pool.close();
      throw error;
    }
    return pool;
  }

  /** Images waiting for a thread. */
  get queueLength(): number {
    return this.#pool.queueSize;
  }

  /**
   * The masks that the method's own function finds: `tokenCutMasks`, `lostMasks`, and so on.
   *
   * @param task a `keys` array that is all of its buffer is handed to the worker and is empty afterwards; one that
   *   is a part of a larger buffer is copied
   * @param signal takes the image out of the queue, or ends the thread that works on it; another starts in its place
   * @throws DinoError `overloaded` when too many images wait, `not-ready` once the pool closes, `invalid-request`
   *   and RangeError as the methods do; an AbortError when the signal aborts
   */
  async run(task: SegmentationTask, signal?: AbortSignal): Promise<KeyMask[]> {
    this.#admit(signal);
    // An error's class doesn't cross from a worker: what the caller can mend is found here.
    assertKeyShape(task);
    if ('tau' in task && task.tau !== undefined) assertTau(task.tau);
    if ('objects' in task && task.objects !== undefined) assertObjects(task.objects);
    if ('candidates' in task && task.candidates !== undefined) assertCandidates(task.candidates);
    return this.#findMasks(task, signal);
  }

  /**
   * The masks that `refineMasks` makes of masks of patches.
   *
   * @param options the photo's `data`, all of its buffer, is handed to the worker and is empty afterwards
   * @throws DinoError `overloaded` and `not-ready`, and an AbortError, as `run` does
   */
  async refine(options: RefineOptions, signal?: AbortSignal): Promise<RefinedMask[]> {
    this.#admit(signal);
    const { buffer } = options.pixels.data;
    return (await this.#dispatch({ method: 'refine', ...options }, [buffer], signal)) as RefinedMask[];
  }

  /**
   * What `cosegment` finds.
   *
   * @param options `keys` and `attention` that are all of their buffers are handed to the worker and are empty afterwards
   * @throws DinoError `overloaded`, `not-ready` and `invalid-request`, and an AbortError, as `run` does
   */
  async cosegment(options: CosegmentOptions, signal?: AbortSignal): Promise<Cosegmentation> {
    this.#admit(signal);
    assertCosegmentable(options);
    const images = options.images.map(({ keys, attention, grid }) => ({
      keys: whole(keys),
      attention: whole(attention),
      grid,
    }));
    const buffers = images.flatMap(({ keys, attention }) => [keys.buffer, attention.buffer]);
    return (await this.#dispatch(
      { method: 'cosegment', ...options, images },
      buffers,
      signal,
    )) as Cosegmentation;
  }

  /** Waits for what is running and waiting, then ends the threads. */
  async close(): Promise<void> {
    this.#isClosed = true;
    // Piscina's own close ends its threads as soon as one of them has finished a task, and drops what waits
    // (5.3.2: it counts every finished task once per thread).
    await Promise.allSettled(this.#unfinished);
    await this.#pool.destroy();
  }

  #admit(signal?: AbortSignal): void {
    signal?.throwIfAborted();
    if (this.#isClosed) throw new DinoError('not-ready', 'The service is closing and takes no more images.');
    if (this.queueLength >= this.#queueLimit) {
      const detail = `${this.queueLength} images are waiting for their masks already. Try again in a moment.`;
      throw new DinoError('overloaded', detail, { retryAfterSeconds: 1 });
    }
  }

  async #findMasks(task: SegmentationTask, signal?: AbortSignal): Promise<KeyMask[]> {
    const keys = whole(task.keys);
    return (await this.#dispatch({ ...task, keys }, [keys.buffer], signal)) as KeyMask[];
  }

  #dispatch(task: Task, buffers: readonly ArrayBufferLike[], signal?: AbortSignal): Promise<Answer> {
    const transferList = buffers.map((buffer) => buffer as ArrayBuffer);
    const found = this.#pool.run(task, { transferList, signal });
    this.#unfinished.add(found);
    const forget = () => this.#unfinished.delete(found);
    found.then(forget, forget);
    return found;
  }
}

/** The values in a buffer of their own. */
function whole(values: Float32Array): Float32Array {
  return values.byteLength === values.buffer.byteLength ? values : values.slice();
}
