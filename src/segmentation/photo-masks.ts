import type { Caller } from '../caller.js';
import type { Grid } from '../inference/features.js';
import type { ImageInfo, ImageReader } from '../vision/image-reader.js';
import type { MaskPainter, MaskPicture } from '../vision/mask-paint.js';
import { renderCutout, renderMask, renderMaskOverlay } from '../vision/render-mask.js';
import { DinoError } from '../errors.js';
import type { AttentionMask } from './attention-mask.js';
import type { MaskWriter } from './mask-writer.js';
import type { BoundingBox } from './pixel-mask.js';
import type { CompressedRle } from './rle.js';
import type { Ring } from './outline.js';
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

export type { MaskPicture } from '../vision/mask-paint.js';

/** Masks are refined on at most so many pixels: a larger photo is scaled down for it. */
const MAX_REFINED_PIXELS = 1_000_000;

/** Brings masks of patches onto the pixels of their photo, and writes them. */
export class PhotoMasks {
  readonly #pool: SegmentationPool;
  readonly #reader: ImageReader;
  readonly #writer: MaskWriter;

  constructor(parts: { pool: SegmentationPool; reader: ImageReader; writer: MaskWriter }) {
    this.#pool = parts.pool;
    this.#reader = parts.reader;
    this.#writer = parts.writer;
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
    caller?: Caller,
  ): Promise<FoundMask[]> {
    const { width, height } = photo.info;
    const onGrid = refine === 'bilateral' ? await this.#refine(photo.bytes, masks, caller) : masks;
    const found: FoundMask[] = [];
    for (const mask of onGrid) {
      const onPixels = { ...mask, width, height };
      const measures = await this.#writer.measures(onPixels);
      // An image smaller than its grid has patches without a pixel.
      if (measures.area > 0) found.push({ ...onPixels, ...measures });
    }
    return found;
  }

  async #refine(bytes: Uint8Array, masks: readonly MaskOnGrid[], caller?: Caller): Promise<MaskOnGrid[]> {
    const [first] = masks;
    if (first === undefined) return [];
    const { pixels } = await this.#reader.whole(bytes, { maxPixels: MAX_REFINED_PIXELS }, caller);
    const grid = { width: pixels.width, height: pixels.height };
    const coarse = { pixels, grid: first.grid, masks: masks.map(({ cells }) => cells) };
    const refined = await this.#pool.refine(coarse, caller?.signal);
    return masks.map((mask, index) => {
      const { pixels: cells, isRefined } = refined[index]!;
      const note = isRefined ? 'Refined to the edges of the photo.' : 'Not refined: that lost the object.';
      return { ...mask, grid, cells, reason: `${mask.reason} ${note}` };
    });
  }

  runLengths(mask: FoundMask): Promise<CompressedRle> {
    return this.#writer.runLengths(mask);
  }

  outline(mask: FoundMask): Promise<Ring[]> {
    return this.#writer.outline(mask);
  }

  /** A mask as a picture, PNG. @param mask where there is none, the picture of an empty one */
  async picture(
    photo: { readonly bytes: Uint8Array; readonly info: ImageInfo },
    mask: MaskOnGrid | undefined,
    kind: MaskPicture,
  ): Promise<Uint8Array> {
    const { width, height } = photo.info;
    const { cells, grid } = mask ?? { cells: new Uint8Array(1), grid: { width: 1, height: 1 } };
    const paint: MaskPainter = (painted, picture) => this.#writer.paint(painted, picture);
    switch (kind) {
      case 'mask':
        return renderMask({ cells, grid, width, height }, paint);
      case 'overlay':
        return renderMaskOverlay({ image: photo.bytes, cells, grid }, paint);
      case 'cutout':
        return renderCutout({ image: photo.bytes, cells, grid }, paint);
      default:
        throw new DinoError('invalid-request', `There is no picture ${String(kind)}.`);
    }
  }
}
