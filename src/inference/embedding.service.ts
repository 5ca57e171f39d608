import type { Caller } from '../caller.js';
import { DinoError } from '../errors.js';
import type { RecipeCache } from './cache/recipe-cache.js';
import type { ImageEmbedding } from './image-embedding.js';
import type { Grid } from './features.js';
import { areaOf, coverOf, weightedMean, type Region, type RegionVector } from './region.js';
import type { Model, ModelRegistry } from '../models/model-registry.js';
import { planPatches } from '../models/patch-plan.js';
import type { ImageInfo, ImageReader } from '../vision/image-reader.js';

export type { ImageEmbedding } from './image-embedding.js';

/** The patches of a whole image. */
export interface PatchTokens {
  readonly info: ImageInfo;
  readonly grid: Grid;
  /** [n, D], n = grid.height * grid.width patches row by row: after the last LayerNorm, not normalised. */
  readonly tokens: Float32Array;
}

/** Images in, embeddings out. */
export class EmbeddingService {
  readonly #models: ModelRegistry;
  readonly #reader: ImageReader;
  readonly #cache: RecipeCache | undefined;

  /** @param parts.cache where embeddings are kept for the same image again, if anywhere */
  constructor(parts: { models: ModelRegistry; reader: ImageReader; cache?: RecipeCache }) {
    this.#models = parts.models;
    this.#reader = parts.reader;
    this.#cache = parts.cache;
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
  async embedAll(images: readonly Uint8Array[], model: Model, caller?: Caller): Promise<ImageEmbedding[]> {
    const known = await Promise.all(images.map(async (bytes) => this.#cache?.find(bytes, model)));
    const missing = known.filter((embedding) => embedding === undefined).length;
    const embedMissing = () =>
      Promise.all(images.map(async (bytes, i) => known[i] ?? this.embedPlaced(bytes, model, caller)));
    // Where all of them are known, neither places nor the model are needed.
    return missing === 0 ? embedMissing() : model.extractor.withPlaces(missing, embedMissing);
  }

  /**
   * The patch tokens of all images of a request, each looked at as a whole.
   *
   * @param options.size longer side in px at which the model looks; default: the model's
   * @throws DinoError as `embedAll`, and invalid-request for a model that has none
   */
  async patchTokensOfAll(
    images: readonly Uint8Array[],
    model: Model,
    options: { readonly size?: number },
    caller?: Caller,
  ): Promise<PatchTokens[]> {
    this.#models.requireFeatures(model, ['patch_tokens']);
    const plan = planPatches(model.manifest, options.size);
    return model.extractor.withPlaces(images.length, () =>
      Promise.all(
        images.map(async (bytes) => {
          const { pixels, info } = await this.#reader.forPatches(bytes, plan, caller);
          const { grid, patchTokens } = await model.extractor.extract(pixels, ['patch_tokens'], caller);
          return { info, grid, tokens: patchTokens! };
        }),
      ),
    );
  }

  /**
   * What stands for a region of an image among embeddings of whole ones.
   *
   * @returns unit length
   * @throws DinoError as `embedAll`, and invalid-request for a region that the image doesn't have
   */
  async embedRegion(
    bytes: Uint8Array,
    model: Model,
    options: { readonly region: Region; readonly by: RegionVector },
    caller?: Caller,
  ): Promise<Float32Array> {
    const { region, by } = options;
    const info = await this.#reader.inspect(bytes);
    const area = areaOf(region, info);
    if (by === 'crop') {
      const crop = await this.#reader.crop(bytes, area, caller);
      const [embedding] = await this.embedAll([crop], model, caller);
      return embedding!.vector;
    }
    const [looked] = await this.patchTokensOfAll([bytes], model, {}, caller);
    return normalise(weightedMean(looked!.tokens, coverOf(region, info, looked!.grid)));
  }

  /** One embedding, while the caller holds a place for it. @throws DinoError for bytes that are no readable image */
  async embedPlaced(bytes: Uint8Array, model: Model, caller?: Caller): Promise<ImageEmbedding> {
    const make = () => this.#embed(bytes, model, caller);
    return this.#cache === undefined
      ? make()
      : this.#cache.get({ bytes, model, signal: caller?.signal }, make);
  }

  async #embed(bytes: Uint8Array, model: Model, caller?: Caller): Promise<ImageEmbedding> {
    const { pixels, info } = await this.#reader.forEmbedding(bytes, model.manifest.preprocessing, caller);
    const features = await model.extractor.extract(pixels, ['embedding'], caller);
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
