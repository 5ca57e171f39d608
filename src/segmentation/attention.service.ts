import { DinoError } from '../errors.js';
import type { Grid } from '../inference/features.js';
import type { Model, ModelRegistry } from '../models/model-registry.js';
import type { ImageInfo, ImageReader } from '../vision/image-reader.js';
import { renderHeadStrip, renderHeatMap, renderOverlay } from '../vision/render-attention.js';

export interface AttentionMaps {
  readonly model: Model;
  readonly info: ImageInfo;
  readonly grid: Grid;
  /** One row per head, grid.height * grid.width values each. */
  readonly heads: readonly Float32Array[];
}

/** Last-block self-attention of the CLS token over the whole image. */
export class AttentionService {
  readonly #models: ModelRegistry;
  readonly #reader: ImageReader;

  constructor({ models, reader }: { models: ModelRegistry; reader: ImageReader }) {
    this.#models = models;
    this.#reader = reader;
  }

  /**
   * @param options.size longer side in px at which the model looks; the grid follows the aspect ratio
   * @throws DinoError not-found for the model, and for bytes that are no readable image
   */
  async compute(
    bytes: Uint8Array,
    options: { model?: string; size?: number },
    signal?: AbortSignal,
  ): Promise<AttentionMaps> {
    const model = this.#models.get(options.model);
    const { input, preprocessing, architecture } = model.manifest;
    const { pixels, info } = await this.#reader.forPatches(bytes, {
      longerSide: options.size ?? preprocessing.attentionSize,
      multipleOf: input.multipleOf,
    });
    const { grid, attention } = await model.extractor.extract(pixels, ['attention'], signal);
    const n = grid.height * grid.width;
    const heads = Array.from({ length: architecture.heads }, (_, head) =>
      attention!.subarray(head * n, (head + 1) * n),
    );
    return { model, info, grid, heads };
  }

  /** A PNG: one head's heat map at the image's size, or over the image; for `all` the heads side by side. */
  async picture(
    bytes: Uint8Array,
    maps: AttentionMaps,
    options: { head: number | 'all'; overlay: boolean; opacity: number },
  ): Promise<Uint8Array> {
    const { grid, info, heads } = maps;
    if (options.head === 'all') {
      return renderHeadStrip({
        image: options.overlay ? bytes : undefined,
        heads,
        grid,
        width: info.width,
        height: info.height,
        opacity: options.opacity,
      });
    }
    const values = pickHead(heads, options.head);
    if (options.overlay) return renderOverlay({ image: bytes, values, grid, opacity: options.opacity });
    return renderHeatMap({ values, grid, width: info.width, height: info.height });
  }
}

/** @throws DinoError invalid-request for a head the model doesn't have */
export function pickHead(heads: readonly Float32Array[], head: number): Float32Array {
  const values = heads[head];
  if (values === undefined) {
    throw new DinoError(
      'invalid-request',
      `There is no head ${head}: this model has ${heads.length}, counted from 0.`,
    );
  }
  return values;
}
