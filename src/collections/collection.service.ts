import { DinoError } from '../errors.js';
import type { Model, ModelRegistry } from '../models/model-registry.js';
import type { Collection, CollectionStore } from './collection-store.js';

export interface CollectionOptions {
  readonly model?: string;
  readonly m?: number;
  readonly efConstruction?: number;
  readonly ef?: number;
}

const DEFAULTS = { m: 16, efConstruction: 200, ef: 128 };

/** Collections as resources, each pinned to the model that makes its vectors. */
export class CollectionService {
  readonly #store: CollectionStore;
  readonly #models: ModelRegistry;

  constructor({ store, models }: { store: CollectionStore; models: ModelRegistry }) {
    this.#store = store;
    this.#models = models;
  }

  /** @throws DinoError not-found for the model; conflict when the collection is there with other settings */
  async create(
    name: string,
    options: CollectionOptions,
  ): Promise<{ collection: Collection; created: boolean }> {
    return this.#models.whileInstalled(options.model, (model) =>
      this.#store.createCollection(name, {
        model: model.name,
        modelFingerprint: model.fingerprint,
        dimension: model.manifest.architecture.embedDim,
        m: options.m ?? DEFAULTS.m,
        efConstruction: options.efConstruction ?? DEFAULTS.efConstruction,
        ef: options.ef ?? DEFAULTS.ef,
      }),
    );
  }

  get(name: string): Promise<Collection> {
    return this.#store.getCollection(name);
  }

  list(): Promise<Collection[]> {
    return this.#store.listCollections();
  }

  delete(name: string): Promise<void> {
    return this.#store.deleteCollection(name);
  }

  /** The collection with the model that makes its vectors. @throws DinoError conflict when that very model is not there */
  async getWithModel(name: string): Promise<{ collection: Collection; model: Model }> {
    const collection = await this.#store.getCollection(name);
    const model = await this.#models.findByFingerprint(collection.modelFingerprint, collection.model);
    if (model === undefined) {
      const detail =
        `The vectors of ${name} were made by the model ${collection.model} (${collection.modelFingerprint.slice(0, 12)}), ` +
        'which is not installed. Install it again, or make a new collection: vectors of two models do not mix.';
      throw new DinoError('conflict', detail);
    }
    return { collection, model };
  }
}
