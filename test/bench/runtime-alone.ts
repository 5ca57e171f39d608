import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Manifest } from '#dino/models/manifest.js';
import { createImageReader } from '#dino/vision/image-reader.js';

/** Images per run that are tried: the better counts. */
const BATCHES = [1, 8];

/** ONNX Runtime with nothing around it: a model and pixels that are ready. */
export class RuntimeAlone {
  readonly #session: InferenceSession;
  readonly #tensors: readonly Tensor[];
  #batch = 0;

  private constructor(session: InferenceSession, tensors: readonly Tensor[]) {
    this.#session = session;
    this.#tensors = tensors;
  }

  /** Opens the model as exported, with all cores, and finds out which batch is faster. */
  static async open(folder: string, manifest: Manifest, photo: Buffer): Promise<RuntimeAlone> {
    const session = await InferenceSession.create(join(folder, manifest.file.path), {
      intraOpNumThreads: availableParallelism(),
      interOpNumThreads: 1,
    });
    const reader = createImageReader({ maxPixels: 50_000_000, timeoutSeconds: 60, preprocessing: 'exact' });
    const { pixels } = await reader.forEmbedding(photo, manifest.preprocessing);
    const { data, height, width } = pixels;
    const tensors = BATCHES.map((batch) => {
      const all = new Uint8Array(batch * data.length);
      for (let i = 0; i < batch; i++) all.set(data, i * data.length);
      return new Tensor('uint8', all, [batch, height, width, 3]);
    });
    const alone = new RuntimeAlone(session, tensors);
    const rates: number[] = [];
    for (const index of tensors.keys()) {
      alone.#batch = index;
      await alone.rate(0.2);
      rates.push(await alone.rate(1));
    }
    alone.#batch = rates.indexOf(Math.max(...rates));
    return alone;
  }

  /** Images per run. */
  get batch(): number {
    return this.#tensors[this.#batch]!.dims[0]!;
  }

  /** @returns images per second */
  async rate(seconds: number): Promise<number> {
    const feeds = { pixels: this.#tensors[this.#batch]! };
    const started = performance.now();
    let images = 0;
    while (performance.now() - started < seconds * 1000) {
      await this.#session.run(feeds, ['embedding']);
      images += this.batch;
    }
    return images / ((performance.now() - started) / 1000);
  }

  async close(): Promise<void> {
    await this.#session.release();
  }
}
