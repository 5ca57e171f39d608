import { DinoError } from '../errors.js';
import type { Model, ModelRegistry } from '../models/model-registry.js';
import type { UnusableModel } from '../models/scan-models.js';
import type { CollectionStore } from './collection-store.js';

/** Models as resources: seen, loaded, unloaded, and removed where no collection needs them. */
export class ModelService {
  readonly #store: CollectionStore;
  readonly #models: ModelRegistry;

  constructor({ store, models }: { store: CollectionStore; models: ModelRegistry }) {
    this.#store = store;
    this.#models = models;
  }

  list(): Promise<{ models: Model[]; unusable: readonly UnusableModel[] }> {
    return this.#models.list();
  }

  /** @throws DinoError not-found */
  get(name: string): Promise<Model> {
    return this.#models.get(name);
  }

  isDefault(model: Model): boolean {
    return model === this.#models.default;
  }

  /** @throws DinoError not-found; internal when it can't be loaded */
  load(name: string): Promise<Model> {
    return this.#models.load(name);
  }

  /** @throws DinoError not-found; conflict for the default model */
  unload(name: string): Promise<Model> {
    return this.#models.unload(name);
  }

  /**
   * Removes an installed model from the disk.
   *
   * @throws DinoError not-found; conflict for the default model, for one that came with the service, and while a
   *   collection's vectors are this model's and no other's
   */
  remove(name: string): Promise<void> {
    return this.#models.remove(name, async ({ fingerprint }, twins) => {
      if (twins.length > 0) return;
      const collections = (await this.#store.listCollections()).filter(
        ({ modelFingerprint, reembedding }) =>
          modelFingerprint === fingerprint || reembedding?.modelFingerprint === fingerprint,
      );
      if (collections.length === 0) return;
      const names = collections.map((collection) => collection.name).join(', ');
      const detail = `The vectors of these collections are of ${name}: ${names}. Delete or re-embed them first, or keep the model.`;
      throw new DinoError('conflict', detail);
    });
  }
}
