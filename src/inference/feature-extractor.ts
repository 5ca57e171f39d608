import type { Caller } from '../caller.js';
import type { Manifest } from '../models/manifest.js';
import type { Pixels } from '../vision/pixels.js';
import { Batcher, type BatchRequest } from './batcher.js';
import type { AskedFeature, Features } from './features.js';
import { ModelProcesses, type ModelProcessesOptions } from './model-processes.js';

export interface BatchingOptions {
  /** Images per batch at most. */
  readonly maxBatch: number;
  /** Patches per batch at most; default, and 0: as many as `maxBatch` images of the model's own size have. */
  readonly maxBatchPatches?: number;
  readonly observe?: {
    batch(size: number, queuedSeconds: readonly number[]): void;
    ran(seconds: number): void;
  };
}

/** One model, ready to turn pixels into features, in processes of its own behind a batching queue. */
export class FeatureExtractor {
  readonly #processes: ModelProcesses;
  readonly #observe: BatchingOptions['observe'];
  readonly #batcher: Batcher;
  readonly #running = new Set<Promise<unknown>>();

  /** @param processes open ones, which are this extractor's from now on */
  constructor(processes: ModelProcesses, { maxBatch, maxBatchPatches, observe }: BatchingOptions) {
    const { crop } = processes.manifest.preprocessing;
    this.#processes = processes;
    this.#observe = observe;
    this.#batcher = new Batcher({
      run: (requests) => this.#run(requests),
      concurrency: processes.count,
      bounds: {
        images: maxBatch,
        patches: maxBatchPatches || maxBatch * this.#patchesOf({ width: crop, height: crop }),
      },
      observe,
    });
  }

  /**
   * Opens a model and warms it up.
   *
   * @throws Error when its file is not the manifest's or can't be opened or run
   */
  static async create(options: ModelProcessesOptions & BatchingOptions): Promise<FeatureExtractor> {
    return new FeatureExtractor(await ModelProcesses.open(options), options);
  }

  get manifest(): Manifest {
    return this.#processes.manifest;
  }

  /** Images waiting for a process. */
  get queueLength(): number {
    return this.#batcher.length;
  }

  /** Ids of the processes that are there now. */
  get processIds(): number[] {
    return this.#processes.ids;
  }

  /** Memory of the model's processes after their last batches. */
  get memoryBytes(): number {
    return this.#processes.memoryBytes;
  }

  /**
   * @param pixels width and height are multiples of what the manifest's `input.multipleOf` says
   * @param names the features wanted, of those that the manifest's `outputs` has, or the rollout
   * @throws Error when the model fails on it; DinoError not-ready when its process dies meanwhile
   */
  extract(pixels: Pixels, names: readonly AskedFeature[], caller?: Caller): Promise<Features> {
    const multiple = this.manifest.input.multipleOf;
    if (pixels.width % multiple !== 0 || pixels.height % multiple !== 0) {
      throw new Error(
        `${pixels.width}x${pixels.height} px is not a multiple of ${multiple}, which ${this.manifest.name} takes`,
      );
    }
    return this.#batcher.submit({ pixels, patches: this.#patchesOf(pixels), names }, caller);
  }

  /** Waits for what is running and waiting, then ends the processes: all of their memory comes back. */
  async close(): Promise<void> {
    while (this.#running.size > 0 || this.#batcher.length > 0) await Promise.allSettled(this.#running);
    await this.#processes.close();
  }

  #patchesOf({ width, height }: { readonly width: number; readonly height: number }): number {
    return (width * height) / this.manifest.architecture.patchSize ** 2;
  }

  #run(requests: readonly BatchRequest[]): Promise<Features[]> {
    const running = this.#extract(requests).finally(() => this.#running.delete(running));
    this.#running.add(running);
    return running;
  }

  async #extract(requests: readonly BatchRequest[]): Promise<Features[]> {
    const { width, height } = requests[0]!.pixels;
    const names = requests[0]!.names;
    const images = requests.map((request) => request.pixels.data);
    const { outputs, seconds } = await this.#processes.run({ width, height, images, names });
    this.#observe?.ran(seconds);
    const patch = this.manifest.architecture.patchSize;
    const grid = { height: height / patch, width: width / patch };
    return requests.map((_, i) => ({
      grid,
      embedding: share(outputs.embedding, i, requests.length),
      patchTokens: share(outputs.patch_tokens, i, requests.length),
      attention: share(outputs.attention, i, requests.length),
      keys: share(outputs.keys, i, requests.length),
      // The patches come last, after CLS and registers.
      rollout: share(outputs.rollout, i, requests.length)?.subarray(-grid.height * grid.width),
    }));
  }
}

/** The i-th of `count` equal parts: one image's rows of a batch. */
function share(batch: Float32Array | undefined, i: number, count: number): Float32Array | undefined {
  if (batch === undefined) return undefined;
  const length = batch.length / count;
  return batch.slice(i * length, (i + 1) * length);
}
