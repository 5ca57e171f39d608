import type { Caller } from '../caller.js';
import { DinoError } from '../errors.js';
import type { EmbeddingService } from '../inference/embedding.service.js';
import type { Model } from '../models/model-registry.js';
import type { ImageObject, NewObject, NewObjects, ObjectSetting } from './image-objects.js';

/** Tells where the objects of an image are. */
export interface ObjectFinder {
  /** @returns in the method's order, with the model that has looked */
  find(
    bytes: Uint8Array,
    modelName: string,
    setting: ObjectSetting,
    caller?: Caller,
  ): Promise<{ model: Model; found: readonly ImageObject[] }>;
}

/** The objects of images, each with the embedding of its box cut out of the image, as a search by a region has it. */
export class ObjectService {
  readonly #finder: ObjectFinder;
  readonly #embeddings: EmbeddingService;

  constructor(parts: { finder: ObjectFinder; embeddings: EmbeddingService }) {
    this.#finder = parts.finder;
    this.#embeddings = parts.embeddings;
  }

  /**
   * @throws DinoError as `MaskService.find` and `EmbeddingService.embedRegion`; conflict when another model has come under
   *   the name meanwhile
   */
  async of(bytes: Uint8Array, model: Model, setting: ObjectSetting, caller?: Caller): Promise<NewObjects> {
    const { model: looked, found } = await this.#finder.find(bytes, model.name, setting, caller);
    if (looked.fingerprint !== model.fingerprint) {
      throw new DinoError('conflict', `The model ${model.name} has been replaced meanwhile. Try again.`);
    }
    const objects: NewObject[] = [];
    // One after the other: an image never needs more than one place.
    for (const object of found) {
      const region = { bbox: object.bbox };
      const vector = await this.#embeddings.embedRegion(bytes, model, { region, by: 'crop' }, caller);
      objects.push({ ...object, vector });
    }
    return { ...setting, found: objects };
  }
}
