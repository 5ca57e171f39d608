import { DinoError } from '../errors.js';
import type { Model, ModelRegistry } from '../models/model-registry.js';
import type {
  Alias,
  AlterableSettings,
  Collection,
  CollectionStore,
  ContentChoice,
} from './collection-store.js';

export interface CollectionOptions {
  readonly model?: string;
  readonly m?: number;
  readonly efConstruction?: number;
  readonly ef?: number;
  readonly content?: ContentChoice;
  readonly thumbnails?: boolean;
}

const DEFAULTS = { m: 16, efConstruction: 200, ef: 128, content: 'original' } as const;

/** Collections and their aliases as resources, each collection pinned to the model that makes its vectors. */
export class CollectionService {
  readonly #store: CollectionStore;
  readonly #models: ModelRegistry;

  constructor({ store, models }: { store: CollectionStore; models: ModelRegistry }) {
    this.#store = store;
    this.#models = models;
  }

  /**
   * Creates the collection, or confirms the one that is there: then what the options leave out is as it is.
   *
   * @throws DinoError not-found for the model; conflict when the collection is there with other settings
   */
  async create(
    name: string,
    options: CollectionOptions,
  ): Promise<{ collection: Collection; created: boolean }> {
    const existing = await this.#find(name);
    if (existing !== undefined && options.model === undefined) {
      const { model, modelFingerprint, dimension } = existing;
      return this.#store.createCollection(name, {
        model,
        modelFingerprint,
        dimension,
        ...merge(options, existing),
      });
    }
    return this.#models.whileInstalled(options.model, (model) =>
      this.#store.createCollection(name, {
        model: model.name,
        modelFingerprint: model.fingerprint,
        dimension: model.manifest.architecture.embedDim,
        ...merge(options, existing ?? DEFAULTS),
      }),
    );
  }

  async #find(name: string): Promise<Collection | undefined> {
    try {
      return await this.#store.getCollection(name);
    } catch (error) {
      if (error instanceof DinoError && error.code === 'not-found') return undefined;
      throw error;
    }
  }

  get(name: string): Promise<Collection> {
    return this.#store.getCollection(name);
  }

  list(): Promise<Collection[]> {
    return this.#store.listCollections();
  }

  /** @throws DinoError not-found; conflict during a re-embedding */
  alter(name: string, changes: Partial<AlterableSettings>): Promise<Collection> {
    return this.#store.alterCollection(name, changes);
  }

  /** @throws DinoError not-found; conflict for an alias, and while it has any */
  delete(name: string): Promise<void> {
    return this.#store.deleteCollection(name);
  }

  /** @throws DinoError not-found for the collection; conflict when a collection has the name */
  putAlias(alias: string, collection: string): Promise<{ alias: Alias; created: boolean }> {
    return this.#store.putAlias(alias, collection);
  }

  getAlias(alias: string): Promise<Alias> {
    return this.#store.getAlias(alias);
  }

  listAliases(): Promise<Alias[]> {
    return this.#store.listAliases();
  }

  deleteAlias(alias: string): Promise<void> {
    return this.#store.deleteAlias(alias);
  }

  /** The collection with the model that makes its vectors. @throws DinoError conflict when that very model is not there */
  async getWithModel(name: string): Promise<{ collection: Collection; model: Model }> {
    const collection = await this.#store.getCollection(name);
    const model = await this.#models.findByFingerprint(collection.modelFingerprint, collection.model);
    if (model === undefined) {
      const detail =
        `The vectors of ${name} were made by the model ${collection.model} (${collection.modelFingerprint.slice(0, 12)}), ` +
        'which is not installed. Install it again, or re-embed the collection to another: vectors of two models do not mix.';
      throw new DinoError('conflict', detail);
    }
    return { collection, model };
  }
}

type Shape = { readonly m: number; readonly efConstruction: number } & AlterableSettings;

/** The options, with what they leave out taken from `rest`. */
function merge(
  options: CollectionOptions,
  rest: Omit<Shape, 'thumbnails'> & { thumbnails?: boolean },
): Shape {
  const content = options.content ?? rest.content;
  const asBefore = content === rest.content ? rest.thumbnails : undefined;
  return {
    m: options.m ?? rest.m,
    efConstruction: options.efConstruction ?? rest.efConstruction,
    ef: options.ef ?? rest.ef,
    content,
    thumbnails: options.thumbnails ?? asBefore ?? content !== 'none',
  };
}
