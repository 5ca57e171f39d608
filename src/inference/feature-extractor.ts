import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import type { Manifest } from '../models/manifest.js';
import type { Pixels } from '../vision/pixels.js';
import { Batcher, type BatchRequest } from './batcher.js';
import type { FeatureName, Features } from './features.js';
import type { BatchAnswer, BatchTask } from './session-worker.js';

export interface FeatureExtractorOptions {
  readonly manifest: Manifest;
  /** Path of the ONNX file. */
  readonly modelPath: string;
  readonly providers: readonly string[];
  /** Worker threads, each with a session of its own. */
  readonly workers: number;
  /** ONNX Runtime threads per worker; 0 shares the cores out. */
  readonly threads: number;
  readonly maxBatch: number;
  readonly queueLimit: number;
  readonly observe?: {
    batch(size: number, queuedSeconds: readonly number[]): void;
    refused(): void;
    ran(seconds: number): void;
  };
}

/** One model, ready to turn pixels into features, in worker threads behind a batching queue. */
export class FeatureExtractor {
  readonly manifest: Manifest;
  readonly #options: FeatureExtractorOptions;
  readonly #threads: number;
  readonly #pool: Piscina<BatchTask, BatchAnswer>;
  readonly #batcher: Batcher;
  readonly #running = new Set<Promise<BatchAnswer>>();

  private constructor(options: FeatureExtractorOptions) {
    this.manifest = options.manifest;
    this.#options = options;
    this.#threads = options.threads || Math.max(1, Math.floor(availableParallelism() / options.workers));
    this.#pool = new Piscina<BatchTask, BatchAnswer>({
      filename: new URL('./session-worker.js', import.meta.url).href,
      minThreads: options.workers,
      maxThreads: options.workers,
      idleTimeout: Infinity,
      concurrentTasksPerWorker: 1,
    });
    this.#batcher = new Batcher({
      run: (requests) => this.#run(requests),
      concurrency: options.workers,
      maxBatch: options.maxBatch,
      queueLimit: options.queueLimit,
      observe: options.observe,
    });
  }

  /** Opens the model in every worker and runs it once at its own size, so that the first request finds it warm. */
  static async create(options: FeatureExtractorOptions): Promise<FeatureExtractor> {
    const extractor = new FeatureExtractor(options);
    try {
      const { crop } = options.manifest.preprocessing;
      const blank = () => ({
        pixels: { data: new Uint8Array(crop * crop * 3), width: crop, height: crop },
        names: ['embedding'] as const,
      });
      await Promise.all(Array.from({ length: options.workers }, () => extractor.#run([blank()])));
    } catch (error) {
      await extractor.close();
      throw error;
    }
    return extractor;
  }

  /** Images waiting for a worker. */
  get queueLength(): number {
    return this.#batcher.length;
  }

  /** Holds places for a request's images while they are decoded and extracted; see `Batcher.withPlaces`. */
  withPlaces<T>(count: number, work: () => Promise<T>): Promise<T> {
    return this.#batcher.withPlaces(count, work);
  }

  /**
   * To be called while `withPlaces` holds one for the image.
   *
   * @param pixels width and height are multiples of the model's patch size; its buffer is handed to the worker and
   *   is empty afterwards
   * @param names the features wanted
   */
  extract(pixels: Pixels, names: readonly FeatureName[], signal?: AbortSignal): Promise<Features> {
    const multiple = this.manifest.input.multipleOf;
    if (pixels.width % multiple !== 0 || pixels.height % multiple !== 0) {
      throw new Error(`${pixels.width}x${pixels.height} px is not a multiple of the patch size ${multiple}`);
    }
    return this.#batcher.submit({ pixels, names }, signal);
  }

  /** Waits for what is running and waiting, then ends the workers. */
  async close(): Promise<void> {
    // Piscina's own close ends its threads as soon as one of them has finished a task, and drops what waits (5.3.2).
    while (this.#running.size > 0 || this.#batcher.length > 0) await Promise.allSettled(this.#running);
    await this.#pool.destroy();
  }

  async #run(requests: readonly BatchRequest[]): Promise<Features[]> {
    const { width, height } = requests[0]!.pixels;
    const names = requests[0]!.names;
    const images = requests.map((request) => request.pixels.data);
    const task: BatchTask = {
      modelPath: this.#options.modelPath,
      threads: this.#threads,
      providers: this.#options.providers,
      width,
      height,
      images,
      names,
    };
    const running = this.#pool.run(task, { transferList: images.map((image) => image.buffer) });
    this.#running.add(running);
    const { outputs, seconds } = await running.finally(() => this.#running.delete(running));
    this.#options.observe?.ran(seconds);
    const patch = this.manifest.architecture.patchSize;
    const grid = { height: height / patch, width: width / patch };
    return requests.map((_, i) => ({
      grid,
      embedding: share(outputs.embedding, i, requests.length),
      patchTokens: share(outputs.patch_tokens, i, requests.length),
      attention: share(outputs.attention, i, requests.length),
      keys: share(outputs.keys, i, requests.length),
    }));
  }
}

/** The i-th of `count` equal parts: one image's rows of a batch. */
function share(batch: Float32Array | undefined, i: number, count: number): Float32Array | undefined {
  if (batch === undefined) return undefined;
  const length = batch.length / count;
  return batch.slice(i * length, (i + 1) * length);
}
