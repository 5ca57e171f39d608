import { setImmediate } from 'node:timers/promises';
import { DinoError } from '../errors.js';
import type { Grid } from '../inference/features.js';
import type { Model } from '../models/model-registry.js';
import type { ImageInfo, ImageReader } from '../vision/image-reader.js';
import { renderCutout, renderMask, renderMaskOverlay } from '../vision/render-mask.js';
import { attentionMasks, type AttentionMask, type HeadChoice } from './attention-mask.js';
import { outlineOf, type Ring } from './outline.js';
import { headRows, type Look, type LookOptions, type PatchLooker } from './patch-looker.js';
import { maskArea, maskBox, type BoundingBox } from './pixel-mask.js';
import { patchAt, patchesIn, type Box, type Point } from './prompt-place.js';
import { encodeRle, type CompressedRle } from './rle.js';
import type { SegmentationPool, SegmentationTask } from './segmentation-pool.js';

export type MaskMethod = 'attention' | SegmentationTask['method'];

export interface MaskRequest extends LookOptions {
  /** Default: `point` or `box` where one is given, else `attention`. */
  readonly method?: MaskMethod;
  /** `attention`: which head's mask. */
  readonly head: HeadChoice;
  /** `attention`: share of the attention mass that a mask holds, 0..1. */
  readonly threshold: number;
  /** `tokencut` and `maskcut`: cosine above which two patches are alike, -1..1; default: the method's. */
  readonly tau?: number;
  /** `maskcut` and `deep-spectral`: most masks wanted, 1..10; default 3. */
  readonly objects?: number;
  /** `point`: a place on the object. */
  readonly point?: Point;
  /** `box`: where the object is. */
  readonly box?: Box;
  /** How the edges of patches become edges of pixels; default `none`. */
  readonly refine?: 'none' | 'bilateral';
}

/** A mask on the image's own pixels. */
export interface FoundMask extends AttentionMask {
  /** What the cells are: patches, or where it is refined pixels. */
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
  readonly method: MaskMethod;
  /** Best first. */
  readonly masks: readonly FoundMask[];
}

/** A mask before it is measured; a cell is a patch, or a pixel of the photo that it was refined on. */
type MaskOnGrid = AttentionMask & { readonly grid: Grid };

/**
 * Masks are refined on at most so many pixels: a larger photo is scaled down for it. Measuring or writing one mask of
 * as many takes 10 to 40 ms, here on the event loop.
 */
const MAX_REFINED_PIXELS = 1_000_000;

/** Object masks from the features of one image. */
export class MaskService {
  readonly #looker: PatchLooker;
  readonly #pool: SegmentationPool;
  readonly #reader: ImageReader;

  constructor(parts: { looker: PatchLooker; pool: SegmentationPool; reader: ImageReader }) {
    this.#looker = parts.looker;
    this.#pool = parts.pool;
    this.#reader = parts.reader;
  }

  /** @throws DinoError invalid-request for an option that makes no sense, and as `PatchLooker.look` */
  async find(bytes: Uint8Array, request: MaskRequest, signal?: AbortSignal): Promise<FoundMasks> {
    const method = methodOf(request);
    const wanted = method === 'attention' ? 'attention' : 'keys';
    const look = await this.#looker.look(bytes, [wanted], request, signal);
    const { model, info } = look;
    const { width, height } = info;
    const found = await this.#masks(look, { ...request, method }, signal);
    const onGrid = request.refine === 'bilateral' ? await this.#refine(bytes, found, signal) : found;
    const masks: FoundMask[] = [];
    for (const mask of onGrid) {
      const onPixels = { ...mask, width, height };
      const area = maskArea(onPixels);
      // An image smaller than its grid has patches without a pixel.
      if (area > 0) masks.push({ ...onPixels, area, bbox: maskBox(onPixels) });
      // Others have their turn between two masks.
      await setImmediate();
    }
    return { model, info, method, masks };
  }

  async #masks(
    { features, info }: Look,
    request: MaskRequest & { readonly method: MaskMethod },
    signal?: AbortSignal,
  ): Promise<MaskOnGrid[]> {
    const { grid } = features;
    const { method, head, threshold, tau, objects, point, box } = request;
    const onGrid = (mask: AttentionMask) => ({ ...mask, grid });
    if (method === 'attention') {
      return attentionMasks({ heads: headRows(features), grid, threshold, head }).map(onGrid);
    }
    const keys = features.keys!;
    const common = { keys, dimension: keys.length / (grid.height * grid.width), grid };
    const tasks: Record<Exclude<MaskMethod, 'attention'>, () => SegmentationTask> = {
      tokencut: () => ({ method: 'tokencut', ...common, tau }),
      lost: () => ({ method: 'lost', ...common }),
      maskcut: () => ({ method: 'maskcut', ...common, tau, objects }),
      'deep-spectral': () => ({ method: 'deep-spectral', ...common, objects }),
      point: () => ({ method: 'point', ...common, patch: patchAt(point!, info, grid) }),
      box: () => ({ method: 'box', ...common, box: patchesIn(box!, info, grid) }),
    };
    return (await this.#pool.run(tasks[method](), signal)).map(onGrid);
  }

  async #refine(
    bytes: Uint8Array,
    masks: readonly MaskOnGrid[],
    signal?: AbortSignal,
  ): Promise<MaskOnGrid[]> {
    const [first] = masks;
    if (first === undefined) return [];
    const { pixels } = await this.#reader.whole(bytes, { maxPixels: MAX_REFINED_PIXELS });
    const grid = { width: pixels.width, height: pixels.height };
    const coarse = { pixels, grid: first.grid, masks: masks.map(({ cells }) => cells) };
    const refined = await this.#pool.refine(coarse, signal);
    return masks.map((mask, index) => {
      const { pixels: cells, isRefined } = refined[index]!;
      const note = isRefined ? 'Refined to the edges of the photo.' : 'Not refined: that lost the object.';
      return { ...mask, grid, cells, reason: `${mask.reason} ${note}` };
    });
  }

  runLengths(mask: FoundMask): CompressedRle {
    return encodeRle(mask);
  }

  /** The exact outline of the mask's pixels; see `outlineOf` for the rings' order. */
  outline(mask: FoundMask): Ring[] {
    return outlineOf(mask);
  }

  /** White on black, at the image's own size. */
  binaryPng(mask: FoundMask): Promise<Uint8Array> {
    return renderMask(mask);
  }

  /** The first mask as a picture; where there is none, the picture of an empty one. */
  picture(bytes: Uint8Array, found: FoundMasks, kind: 'mask' | 'overlay' | 'cutout'): Promise<Uint8Array> {
    const { width, height } = found.info;
    const { cells, grid } = found.masks[0] ?? { cells: new Uint8Array(1), grid: { width: 1, height: 1 } };
    switch (kind) {
      case 'mask':
        return renderMask({ cells, grid, width, height });
      case 'overlay':
        return renderMaskOverlay({ image: bytes, cells, grid });
      case 'cutout':
        return renderCutout({ image: bytes, cells, grid });
      default:
        throw new DinoError('invalid-request', `There is no picture ${String(kind)}.`);
    }
  }
}

/** @throws DinoError `invalid-request` where method and prompt don't fit together */
function methodOf({ method, point, box }: MaskRequest): MaskMethod {
  const prompts = { point, box };
  if (point !== undefined && box !== undefined) {
    throw new DinoError('invalid-request', 'Give a point or a box, not both.');
  }
  for (const prompt of ['point', 'box'] as const) {
    const isGiven = prompts[prompt] !== undefined;
    if (isGiven && (method ?? prompt) !== prompt) {
      throw new DinoError('invalid-request', `A ${prompt} is for the method ${prompt}, not for ${method}.`);
    }
    if (isGiven) return prompt;
    if (method === prompt) {
      throw new DinoError('invalid-request', `The method ${prompt} takes a ${prompt}, and there is none.`);
    }
  }
  return method ?? 'attention';
}
