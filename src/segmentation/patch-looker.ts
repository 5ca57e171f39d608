import type { Caller } from '../caller.js';
import type { AskedFeature, Features } from '../inference/features.js';
import type { Model, ModelRegistry } from '../models/model-registry.js';
import { planPatches } from '../models/patch-plan.js';
import type { ImageInfo, ImageReader } from '../vision/image-reader.js';

export interface LookOptions {
  /** Default: the default model. */
  readonly model?: string;
  /** Longer side in px at which the model looks; the grid follows the aspect ratio. Default: the model's. */
  readonly size?: number;
}

export interface Look {
  readonly model: Model;
  readonly info: ImageInfo;
  readonly features: Features;
}

/** Has a model look at a whole image, so that its patches cover all of it. */
export class PatchLooker {
  readonly #models: ModelRegistry;
  readonly #reader: ImageReader;

  constructor({ models, reader }: { models: ModelRegistry; reader: ImageReader }) {
    this.#models = models;
    this.#reader = reader;
  }

  /**
   * @throws DinoError not-found for the model, invalid-request for one that lacks a feature or doesn't take the
   *   size, for bytes that are no readable image, overloaded, and internal when the model can't be loaded
   */
  async look(
    bytes: Uint8Array,
    names: readonly AskedFeature[],
    options: LookOptions,
    caller?: Caller,
  ): Promise<Look> {
    const model = await this.#models.get(options.model);
    this.#models.requireFeatures(model, names);
    const plan = planPatches(model.manifest, options.size);
    return model.extractor.withPlaces(1, async () => {
      const { pixels, info } = await this.#reader.forPatches(bytes, plan, caller);
      return { model, info, features: await model.extractor.extract(pixels, names, caller) };
    });
  }
}

/** The attention of an image as rows of `grid.height * grid.width` values, one per head. */
export function headRows({ grid, attention }: Features): Float32Array[] {
  const n = grid.height * grid.width;
  const heads = attention!.length / n;
  return Array.from({ length: heads }, (_, head) => attention!.subarray(head * n, (head + 1) * n));
}
