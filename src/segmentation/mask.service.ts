import { DinoError } from '../errors.js';
import type { Grid } from '../inference/features.js';
import type { Model } from '../models/model-registry.js';
import type { ImageInfo } from '../vision/image-reader.js';
import { renderCutout, renderMask, renderMaskOverlay } from '../vision/render-mask.js';
import { attentionMasks, type AttentionMask, type HeadChoice } from './attention-mask.js';
import type { AttentionService } from './attention.service.js';
import { maskArea, maskBox, type BoundingBox } from './pixel-mask.js';
import { encodeRle, type CompressedRle } from './rle.js';

export interface MaskRequest {
  readonly model?: string;
  /** Longer side in px at which the model looks; default: the model's. */
  readonly size?: number;
  readonly head: HeadChoice;
  /** Share of the attention mass that a mask holds, 0..1. */
  readonly threshold: number;
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
  readonly #attention: AttentionService;

  constructor(attention: AttentionService) {
    this.#attention = attention;
  }

  /** @throws DinoError invalid-request for a head or threshold that makes no sense, and as `AttentionService.compute` */
  async find(bytes: Uint8Array, request: MaskRequest, signal?: AbortSignal): Promise<FoundMasks> {
    const { model, info, grid, heads } = await this.#attention.compute(bytes, request, signal);
    const { width, height } = info;
    const masks = attentionMasks({ heads, grid, threshold: request.threshold, head: request.head }).map(
      (mask) => {
        const onPixels = { cells: mask.cells, grid, width, height };
        return { ...mask, ...onPixels, area: maskArea(onPixels), bbox: maskBox(onPixels) };
      },
    );
    return { model, info, grid, masks };
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
