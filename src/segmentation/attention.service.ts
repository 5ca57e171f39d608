import type { Caller } from '../caller.js';
import { DinoError } from '../errors.js';
import type { Grid } from '../inference/features.js';
import type { Model } from '../models/model-registry.js';
import type { ImageInfo } from '../vision/image-reader.js';
import { renderHeadStrip, renderHeatMap, renderOverlay } from '../vision/render-attention.js';
import { headRows, type LookOptions, type PatchLooker } from './patch-looker.js';

export interface AttentionMaps {
  readonly model: Model;
  readonly info: ImageInfo;
  readonly grid: Grid;
  /** One row per head, or the one of the rollout; grid.height * grid.width values each. */
  readonly heads: readonly Float32Array[];
}

export interface AttentionSettings extends LookOptions {
  /** One map, of attention rollout over all blocks, instead of the last block's heads. Default false. */
  readonly rollout?: boolean;
}

/** Self-attention of the CLS token over the whole image: of the last block, or rolled out over all of them. */
export class AttentionService {
  readonly #looker: PatchLooker;

  constructor(looker: PatchLooker) {
    this.#looker = looker;
  }

  /** @throws DinoError as `PatchLooker.look` */
  async compute(bytes: Uint8Array, options: AttentionSettings, caller?: Caller): Promise<AttentionMaps> {
    const { rollout = false, ...look } = options;
    const wanted = rollout ? ('rollout' as const) : ('attention' as const);
    const { model, info, features } = await this.#looker.look(bytes, [wanted], look, caller);
    const { grid } = features;
    return { model, info, grid, heads: rollout ? [features.rollout!] : headRows(features) };
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
