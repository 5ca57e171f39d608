import { setImmediate } from 'node:timers/promises';
import type { Grid } from '../inference/features.js';
import type { ImageInfo, ImageReader } from '../vision/image-reader.js';
import { renderCutout, renderMask, renderMaskOverlay } from '../vision/render-mask.js';
import { DinoError } from '../errors.js';
import type { AttentionMask } from './attention-mask.js';
import { maskArea, maskBox, type BoundingBox } from './pixel-mask.js';
import type { SegmentationPool } from './segmentation-pool.js';

/** A mask before it is measured; a cell is a patch, or a pixel of the photo that it was refined on. */
export type MaskOnGrid = AttentionMask & { readonly grid: Grid };

/** A mask on the image's own pixels. */
export interface FoundMask extends MaskOnGrid {
  readonly width: number;
  readonly height: number;
  /** Pixels. */
  readonly area: number;
  readonly bbox: BoundingBox;
}

export interface PhotoMasksOptions {
  /** How the edges of patches become edges of pixels; default `none`. */
  readonly refine?: 'none' | 'bilateral';
}

export type MaskPicture = 'mask' | 'overlay' | 'cutout';

/**
 * Masks are refined on at most so many pixels: a larger photo is scaled down for it. Measuring or writing one mask of
 * as many takes 10 to 40 ms, here on the event loop.
 */
const MAX_REFINED_PIXELS = 1_000_000;

/** Brings masks of patches onto the pixels of their photo. */
export class PhotoMasks {
  readonly #pool: SegmentationPool;
  readonly #reader: ImageReader;

  constructor(parts: { pool: SegmentationPool; reader: ImageReader }) {
    this.#pool = parts.pool;
    this.#reader = parts.reader;
  }

  /**
   * @param info of the photo
   * @returns those that cover a pixel, in order
   * @throws DinoError as `SegmentationPool.refine`
   */
  async finish(
    photo: { readonly bytes: Uint8Array; readonly info: ImageInfo },
    masks: readonly MaskOnGrid[],
    { refine = 'none' }: PhotoMasksOptions,
    signal?: AbortSignal,
  ): Promise<FoundMask[]> {
    const { width, height } = photo.info;
    const onGrid = refine === 'bilateral' ? await this.#refine(photo.bytes, masks, signal) : masks;
    const found: FoundMask[] = [];
    for (const mask of onGrid) {
      const onPixels = { ...mask, width, height };
      const area = maskArea(onPixels);
      // An image smaller than its grid has patches without a pixel.
      if (area > 0) found.push({ ...onPixels, area, bbox: maskBox(onPixels) });
      // Others have their turn between two masks.
      await setImmediate();
    }
    return found;
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
}

/** A mask as a picture, PNG. @param mask where there is none, the picture of an empty one */
export async function maskPicture(
  photo: { readonly bytes: Uint8Array; readonly info: ImageInfo },
  mask: MaskOnGrid | undefined,
  kind: MaskPicture,
): Promise<Uint8Array> {
  const { width, height } = photo.info;
  const { cells, grid } = mask ?? { cells: new Uint8Array(1), grid: { width: 1, height: 1 } };
  switch (kind) {
    case 'mask':
      return renderMask({ cells, grid, width, height });
    case 'overlay':
      return renderMaskOverlay({ image: photo.bytes, cells, grid });
    case 'cutout':
      return renderCutout({ image: photo.bytes, cells, grid });
    default:
      throw new DinoError('invalid-request', `There is no picture ${String(kind)}.`);
  }
}
