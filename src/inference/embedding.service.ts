import { DinoError } from '../errors.js';
import type { Model, ModelRegistry } from '../models/model-registry.js';
import type { ImageInfo, ImageReader } from '../vision/image-reader.js';

export interface ImageEmbedding {
  /** Unit length. */
  readonly vector: Float32Array;
  readonly info: ImageInfo;
  /** Patches the model looked at. */
  readonly patches: number;
}

/** Images in, embeddings out. */
export class EmbeddingService {
  readonly #models: ModelRegistry;
  readonly #reader: ImageReader;

  constructor({ models, reader }: { models: ModelRegistry; reader: ImageReader }) {
    this.#models = models;
    this.#reader = reader;
  }

  /** The model of that name, or the default. @throws DinoError not-found */
  model(name?: string): Promise<Model> {
    return this.#models.get(name);
  }

  /**
   * The embeddings of all images of a request.
   *
   * @throws DinoError for bytes that are no readable image, overloaded when there is no place for all of them, and
   *   internal when the model can't be loaded
   */
  embedAll(images: readonly Uint8Array[], model: Model, signal?: AbortSignal): Promise<ImageEmbedding[]> {
    return model.extractor.withPlaces(images.length, () =>
      Promise.all(images.map((bytes) => this.embedPlaced(bytes, model, signal))),
    );
  }

  /** One embedding, while the caller holds a place for it. @throws DinoError for bytes that are no readable image */
  async embedPlaced(bytes: Uint8Array, model: Model, signal?: AbortSignal): Promise<ImageEmbedding> {
    const { pixels, info } = await this.#reader.forEmbedding(bytes, model.manifest.preprocessing);
    const features = await model.extractor.extract(pixels, ['embedding'], signal);
    return {
      vector: normalise(features.embedding!),
      info,
      patches: features.grid.width * features.grid.height,
    };
  }
}

/** A vector of unit length in the same direction. @throws DinoError invalid-request when its length is zero or not finite */
export function normalise(vector: Float32Array): Float32Array {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const length = Math.sqrt(squares);
  if (!(length > 0) || !Number.isFinite(length)) {
    throw new DinoError('invalid-request', 'The vector has no direction: its length is zero or not finite.');
  }
  return vector.map((value) => value / length);
}
