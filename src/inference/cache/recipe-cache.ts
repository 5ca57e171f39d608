import { sha256 } from '../../sha256.js';
import type { Model } from '../../models/model-registry.js';
import type { ImageEmbedding } from '../image-embedding.js';
import type { EmbeddingCache } from './embedding-cache.js';
import { keyOf, recipeOf, type RecipeSettings } from './recipe.js';

export interface RecipeCacheSettings extends RecipeSettings {
  /** Larger images are left to be refused, though a smaller limit let them in before. */
  readonly maxPixels: number;
}

/** The cache as the embedding service asks it: by image and model. */
export class RecipeCache {
  readonly #recipes = new WeakMap<Model, string>();
  /** An image is hashed once, however often a request asks. */
  readonly #digests = new WeakMap<Uint8Array, Promise<string>>();

  constructor(
    private readonly cache: EmbeddingCache,
    private readonly settings: RecipeCacheSettings,
  ) {}

  /** The embedding, if it is there and the image would be accepted now. */
  async find(bytes: Uint8Array, model: Model): Promise<ImageEmbedding | undefined> {
    return this.#accepted(this.cache.find(await this.#keyOf(bytes, model)));
  }

  /** The embedding that is there, is being made, or that `make` makes. @throws whatever `make` throws */
  async get(
    { bytes, model, signal }: { bytes: Uint8Array; model: Model; signal: AbortSignal | undefined },
    make: () => Promise<ImageEmbedding>,
  ): Promise<ImageEmbedding> {
    const embedding = await this.cache.get(await this.#keyOf(bytes, model), make, signal);
    return this.#accepted(embedding) ?? make();
  }

  async #keyOf(bytes: Uint8Array, model: Model): Promise<string> {
    let recipe = this.#recipes.get(model);
    if (recipe === undefined) this.#recipes.set(model, (recipe = recipeOf(model.manifest, this.settings)));
    let digest = this.#digests.get(bytes);
    if (digest === undefined) this.#digests.set(bytes, (digest = sha256(bytes)));
    return keyOf(await digest, recipe);
  }

  #accepted(embedding: ImageEmbedding | undefined): ImageEmbedding | undefined {
    if (embedding === undefined) return undefined;
    const { width, height } = embedding.info;
    return width * height > this.settings.maxPixels ? undefined : embedding;
  }
}
