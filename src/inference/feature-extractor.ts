import type { Caller } from '../caller.js';
import { availableParallelism } from 'node:os';
import type { Manifest } from '../models/manifest.js';
import type { Pixels } from '../vision/pixels.js';
import { Batcher, type BatchRequest } from './batcher.js';
import type { AskedFeature, Features } from './features.js';
import { SessionProcess } from './session-process.js';

export interface FeatureExtractorOptions {
  readonly manifest: Manifest;
  /** Path of the ONNX file. */
  readonly modelPath: string;
  /** Checks that the file is the manifest's; called before each opening of it, also after a process has died. */
  readonly verify?: () => Promise<unknown>;
  readonly providers: readonly string[];
  /** Processes, each with a session of its own. */
  readonly workers: number;
  /** ONNX Runtime threads per process; 0 shares the cores out. */
  readonly threads: number;
  /** Images per batch at most. */
  readonly maxBatch: number;
  /** Folder for graphs that compute embeddings alone, see `embeddingModel`; without it there are none. */
  readonly cacheDir?: string;
  /** Patches per batch at most; default, and 0: as many as `maxBatch` images of the model's own size have. */
  readonly maxBatchPatches?: number;
  readonly observe?: {
    batch(size: number, queuedSeconds: readonly number[]): void;
    ran(seconds: number): void;
  };
}

/** One model, ready to turn pixels into features, in processes of its own behind a batching queue. */
export class FeatureExtractor {
  readonly manifest: Manifest;
  readonly #options: FeatureExtractorOptions;
  readonly #processes: readonly SessionProcess[];
  readonly #free: SessionProcess[];
  readonly #batcher: Batcher;
  readonly #running = new Set<Promise<unknown>>();
  #verifying: Promise<unknown> | undefined;

  private constructor(options: FeatureExtractorOptions) {
    const { manifest, modelPath, providers, workers, maxBatch, cacheDir } = options;
    const { crop } = manifest.preprocessing;
    this.manifest = manifest;
    this.#options = options;
    const threads = options.threads || Math.max(1, Math.floor(availableParallelism() / workers));
    const verify = () => this.#verify();
    const settings = {
      name: manifest.name,
      modelPath,
      sha256: manifest.file.sha256,
      blocks: manifest.architecture.depth,
      threads,
      providers,
      ...(cacheDir !== undefined && { embeddings: { side: manifest.preprocessing.crop, cacheDir } }),
      verify,
    };
    this.#processes = Array.from({ length: workers }, () => new SessionProcess(settings));
    this.#free = [...this.#processes];
    this.#batcher = new Batcher({
      run: (requests) => this.#run(requests),
      concurrency: workers,
      bounds: {
        images: maxBatch,
        patches: options.maxBatchPatches || maxBatch * this.#patchesOf({ width: crop, height: crop }),
      },
      observe: options.observe,
    });
  }

  /**
   * Opens the model in every process and runs it once at its own size, so that the first request finds it warm.
   *
   * @throws Error when its file is not the manifest's or can't be opened or run
   */
  static async create(options: FeatureExtractorOptions): Promise<FeatureExtractor> {
    const extractor = new FeatureExtractor(options);
    const { crop } = options.manifest.preprocessing;
    const images = [new Uint8Array(crop * crop * 3)];
    const warming = extractor.#processes.map((process) =>
      process.run({ height: crop, width: crop, images, names: ['embedding'] }),
    );
    const failed = (await Promise.allSettled(warming)).find((result) => result.status === 'rejected');
    if (failed === undefined) return extractor;
    await extractor.close();
    throw failed.reason;
  }

  /** Images waiting for a process. */
  get queueLength(): number {
    return this.#batcher.length;
  }

  /** Ids of the processes that are there now. */
  get processIds(): number[] {
    return this.#processes.flatMap(({ pid }) => pid ?? []);
  }

  /** Memory of the model's processes after their last batches. */
  get memoryBytes(): number {
    return this.#processes.reduce((sum, process) => sum + process.memoryBytes, 0);
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
    await Promise.all(this.#processes.map((process) => process.close()));
  }

  #patchesOf({ width, height }: { readonly width: number; readonly height: number }): number {
    return (width * height) / this.manifest.architecture.patchSize ** 2;
  }

  /** Several processes that open at once read the file once. */
  async #verify(): Promise<void> {
    this.#verifying ??= this.#options.verify?.().finally(() => (this.#verifying = undefined));
    await this.#verifying;
  }

  #run(requests: readonly BatchRequest[]): Promise<Features[]> {
    // The batcher runs as many at once as there are processes.
    const process = this.#free.pop()!;
    const running = this.#runOn(process, requests).finally(() => {
      this.#free.push(process);
      this.#running.delete(running);
    });
    this.#running.add(running);
    return running;
  }

  async #runOn(process: SessionProcess, requests: readonly BatchRequest[]): Promise<Features[]> {
    const { width, height } = requests[0]!.pixels;
    const names = requests[0]!.names;
    const images = requests.map((request) => request.pixels.data);
    const { outputs, seconds } = await process.run({ width, height, images, names });
    this.#options.observe?.ran(seconds);
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
