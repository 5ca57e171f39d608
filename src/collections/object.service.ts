import { DinoError } from '../errors.js';
import type { EmbeddingService } from '../inference/embedding.service.js';
import type { Model } from '../models/model-registry.js';
import type { ImageReader } from '../vision/image-reader.js';
import type { ImageObject, NewObjects, ObjectSetting } from './image-objects.js';

/** Tells where the objects of an image are. */
export interface ObjectFinder {
  /** @returns in the method's order, with the model that has looked */
  find(
    bytes: Uint8Array,
    modelName: string,
    setting: ObjectSetting,
    signal?: AbortSignal,
  ): Promise<{ model: Model; found: readonly ImageObject[] }>;
}

/** The objects of images, each with the embedding of its box cut out of the image, as a search by a region has it. */
export class ObjectService {
  readonly #finder: ObjectFinder;
  readonly #embeddings: EmbeddingService;
  readonly #reader: ImageReader;

  constructor(parts: { finder: ObjectFinder; embeddings: EmbeddingService; reader: ImageReader }) {
    this.#finder = parts.finder;
    this.#embeddings = parts.embeddings;
    this.#reader = parts.reader;
  }

  /**
   * @throws DinoError as `MaskService.find` and `EmbeddingService.embedAll`; conflict when another model has come under
   *   the name meanwhile
   */
  async of(
    bytes: Uint8Array,
    model: Model,
    setting: ObjectSetting,
    signal?: AbortSignal,
  ): Promise<NewObjects> {
    const { model: looked, found } = await this.#finder.find(bytes, model.name, setting, signal);
    if (looked.fingerprint !== model.fingerprint) {
      throw new DinoError('conflict', `The model ${model.name} has been replaced meanwhile. Try again.`);
    }
    // One after the other: each holds the image's pixels.
    const crops: Uint8Array[] = [];
    for (const { bbox } of found) {
      const [left, top, width, height] = bbox;
      crops.push(await this.#reader.crop(bytes, { left, top, width, height }));
    }
    const embedded = crops.length === 0 ? [] : await this.#embeddings.embedAll(crops, model, signal);
    return { ...setting, found: found.map((object, i) => ({ ...object, vector: embedded[i]!.vector })) };
  }
}
