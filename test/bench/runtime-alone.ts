import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Manifest } from '#dino/models/manifest.js';
import { embeddingModel } from '#dino/models/onnx/surgery/embedding-model.js';
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

  /**
   * Opens a model with all cores, and finds out which batch is faster.
   *
   * @param graph the file as exported, or the graph for embeddings that the service makes of it
   */
  static async open(
    folder: string,
    manifest: Manifest,
    photo: Buffer,
    graph: 'exported' | 'embeddings' = 'exported',
  ): Promise<RuntimeAlone> {
    const modelPath = join(folder, manifest.file.path);
    const options = {
      intraOpNumThreads: availableParallelism(),
      interOpNumThreads: 1,
      extra: { session: { model_external_initializers_file_folder_path: folder } },
    };
    const session =
      graph === 'exported'
        ? await InferenceSession.create(modelPath, options)
        : await InferenceSession.create(await embeddingsOnly(modelPath, manifest), options);
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

async function embeddingsOnly(modelPath: string, { file, preprocessing }: Manifest): Promise<Uint8Array> {
  const graph = await embeddingModel(modelPath, { sha256: file.sha256, side: preprocessing.crop });
  if (graph === undefined) throw new Error(`${modelPath} has no graph for embeddings alone`);
  return graph;
}
