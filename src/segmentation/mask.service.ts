import { DinoError } from '../errors.js';
import type { Features, Grid } from '../inference/features.js';
import type { Model } from '../models/model-registry.js';
import type { ImageInfo } from '../vision/image-reader.js';
import { renderCutout, renderMask, renderMaskOverlay } from '../vision/render-mask.js';
import { attentionMasks, type AttentionMask, type HeadChoice } from './attention-mask.js';
import { headRows, type LookOptions, type PatchLooker } from './patch-looker.js';
import { maskArea, maskBox, type BoundingBox } from './pixel-mask.js';
import type { SegmentationPool } from './segmentation-pool.js';
import { encodeRle, type CompressedRle } from './rle.js';

export type MaskMethod = 'attention' | 'tokencut' | 'lost';

export interface MaskRequest extends LookOptions {
  readonly method: MaskMethod;
  /** `attention`: which head's mask. */
  readonly head: HeadChoice;
  /** `attention`: share of the attention mass that a mask holds, 0..1. */
  readonly threshold: number;
  /** `tokencut`: cosine above which two patches are alike, -1..1. */
  readonly tau: number;
}

/** A mask on the image's own pixels. */
export interface FoundMask extends AttentionMask {
  readonly grid: Grid;
  readonly width: number;
  readonly height: number;
  /** Pixels. */
  readonly area: number;
  readonly bbox: BoundingBox;
}

export interface FoundMasks {
  readonly model: Model;
  readonly info: ImageInfo;
  readonly grid: Grid;
  /** Best first. */
  readonly masks: readonly FoundMask[];
}

/** Object masks from the features of one image. */
export class MaskService {
  readonly #looker: PatchLooker;
  readonly #pool: SegmentationPool;

  constructor(parts: { looker: PatchLooker; pool: SegmentationPool }) {
    this.#looker = parts.looker;
    this.#pool = parts.pool;
  }

  /** @throws DinoError invalid-request for an option that makes no sense, and as `PatchLooker.look` */
  async find(bytes: Uint8Array, request: MaskRequest, signal?: AbortSignal): Promise<FoundMasks> {
    const wanted = request.method === 'attention' ? 'attention' : 'keys';
    const { model, info, features } = await this.#looker.look(bytes, [wanted], request, signal);
    const { grid } = features;
    const { width, height } = info;
    const masks = (await this.#masks(features, request, signal))
      .map((mask) => {
        const onPixels = { cells: mask.cells, grid, width, height };
        return { ...mask, ...onPixels, area: maskArea(onPixels), bbox: maskBox(onPixels) };
      })
      // An image smaller than its grid has patches without a pixel.
      .filter(({ area }) => area > 0);
    return { model, info, grid, masks };
  }

  async #masks(features: Features, request: MaskRequest, signal?: AbortSignal): Promise<AttentionMask[]> {
    const { grid } = features;
    const { method, head, threshold, tau } = request;
    if (method === 'attention') return attentionMasks({ heads: headRows(features), grid, threshold, head });
    const keys = features.keys!;
    const dimension = keys.length / (grid.height * grid.width);
    const common = { keys, dimension, grid };
    return this.#pool.run(method === 'tokencut' ? { method, ...common, tau } : { method, ...common }, signal);
  }

  runLengths(mask: FoundMask): CompressedRle {
    return encodeRle(mask);
  }

  /** White on black, at the image's own size. */
  binaryPng(mask: FoundMask): Promise<Uint8Array> {
    return renderMask(mask);
  }

  /** The first mask as a picture; where there is none, the picture of an empty one. */
  picture(bytes: Uint8Array, found: FoundMasks, kind: 'mask' | 'overlay' | 'cutout'): Promise<Uint8Array> {
    const { grid, info } = found;
    const cells = found.masks[0]?.cells ?? new Uint8Array(grid.width * grid.height);
    switch (kind) {
      case 'mask':
        return renderMask({ cells, grid, width: info.width, height: info.height });
      case 'overlay':
        return renderMaskOverlay({ image: bytes, cells, grid });
      case 'cutout':
        return renderCutout({ image: bytes, cells, grid });
      default:
        throw new DinoError('invalid-request', `There is no picture ${String(kind)}.`);
    }
  }
}
