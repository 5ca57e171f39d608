import { availableParallelism } from 'node:os';
import type { Manifest } from '../models/manifest.js';
import type { EmbeddingGraphSettings } from './session-messages.js';
import { SessionProcess, type BatchOfImages, type BatchOutcome } from './session-process.js';

export interface ModelProcessesOptions {
  readonly manifest: Manifest;
  /** Path of the ONNX file. */
  readonly modelPath: string;
  /** Checks that the file is the manifest's; called before each opening of it, also after a process has died. */
  readonly verify?: () => Promise<unknown>;
  readonly providers: readonly string[];
  /** Folder for graphs that compute embeddings alone, see `embeddingModel`; without it there are none. */
  readonly cacheDir?: string;
  /** Processes, each with a session of its own. */
  readonly workers: number;
  /** ONNX Runtime threads per process; 0: see `threadsOfEach`. */
  readonly threads: number;
}

/** ONNX Runtime threads for each of so many processes: as many as are asked for, or for 0 its share of the cores. */
export function threadsOfEach(workers: number, asked: number, cores = availableParallelism()): number {
  return asked || Math.max(1, Math.floor(cores / workers));
}

/** How fast all processes are when each of them runs one batch after another. */
export interface BatchSpeed {
  readonly imagesPerSecond: number;
  /** Of one batch. */
  readonly seconds: number;
}

/** Time for which a speed is measured, but for slow models, which run a few batches however long that takes. */
const MEASURED_MS = 40;
const LEAST_RUNS = 3;

/** The processes that have one model open: as many batches run at the same time. */
export class ModelProcesses {
  readonly manifest: Manifest;
  readonly #processes: readonly SessionProcess[];
  readonly #free: SessionProcess[];
  #verifying: Promise<unknown> | undefined;

  private constructor({
    manifest,
    modelPath,
    providers,
    workers,
    threads,
    ...options
  }: ModelProcessesOptions) {
    const { cacheDir, verify } = options;
    this.manifest = manifest;
    const embeddings: EmbeddingGraphSettings | undefined =
      cacheDir === undefined ? undefined : { side: manifest.preprocessing.crop, cacheDir };
    const settings = {
      name: manifest.name,
      modelPath,
      sha256: manifest.file.sha256,
      blocks: manifest.architecture.depth,
      threads: threadsOfEach(workers, threads),
      providers,
      embeddings,
      verify: () => this.#verify(verify),
    };
    this.#processes = Array.from({ length: workers }, () => new SessionProcess(settings));
    this.#free = [...this.#processes];
  }

  /**
   * Opens the model in every process and runs it once at its own size, so that the first request finds it warm.
   *
   * @throws Error when its file is not the manifest's or can't be opened or run
   */
  static async open(options: ModelProcessesOptions): Promise<ModelProcesses> {
    const all = new ModelProcesses(options);
    const opened = await Promise.allSettled(all.#processes.map((process) => process.run(all.#ownSize(1))));
    const failed = opened.find((result) => result.status === 'rejected');
    if (failed === undefined) return all;
    await all.close();
    throw failed.reason;
  }

  get count(): number {
    return this.#processes.length;
  }

  /** Ids of the processes that are there now. */
  get ids(): number[] {
    return this.#processes.flatMap(({ pid }) => pid ?? []);
  }

  /** Memory of the processes after their last batches. */
  get memoryBytes(): number {
    return this.#processes.reduce((sum, process) => sum + process.memoryBytes, 0);
  }

  /** To be called for as many batches at a time as there are processes. @throws see `SessionProcess.run` */
  async run(batch: BatchOfImages): Promise<BatchOutcome> {
    const process = this.#free.pop();
    if (process === undefined) throw new Error('every process of the model is busy');
    try {
      return await process.run(batch);
    } finally {
      this.#free.push(process);
    }
  }

  /** Runs batches of images of the model's own size in all processes, none of which may be busy. @throws as `run` */
  async measure(images: number): Promise<BatchSpeed> {
    const end = performance.now() + MEASURED_MS;
    const medians = await Promise.all(
      this.#processes.map(async (process) => {
        // What the first run of a size sets up is not its speed.
        await process.run(this.#ownSize(images));
        const seconds: number[] = [];
        while (seconds.length < LEAST_RUNS || performance.now() < end)
          seconds.push((await process.run(this.#ownSize(images))).seconds);
        return seconds.sort((a, b) => a - b)[seconds.length >> 1]!;
      }),
    );
    return {
      imagesPerSecond: medians.reduce((sum, seconds) => sum + images / seconds, 0),
      seconds: Math.max(...medians),
    };
  }

  /** Ends the processes at once and waits until they are gone. */
  async close(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.close()));
  }

  #ownSize(count: number): BatchOfImages {
    const { crop } = this.manifest.preprocessing;
    const images = Array.from({ length: count }, () => new Uint8Array(crop * crop * 3));
    return { height: crop, width: crop, images, names: ['embedding'] };
  }

  /** Several processes that open at once read the file once. */
  async #verify(verify: (() => Promise<unknown>) | undefined): Promise<void> {
    this.#verifying ??= verify?.().finally(() => (this.#verifying = undefined));
    await this.#verifying;
  }
}
