import { MAX_PICTURE_PIXELS, paintOn } from './backdrop.js';
import type { CellMask, CoverGrid } from './grid-cover.js';
import { paintMask, type MaskPainter } from './mask-paint.js';

export interface PhotoMask {
  /** Bytes that an `ImageReader` has accepted. */
  readonly image: Uint8Array;
  /** One byte a cell, row by row; any value but 0 is the object. */
  readonly cells: Uint8Array;
  readonly grid: CoverGrid;
}

/** The mask as a grey PNG: 255 on the object, 0 elsewhere, at the size given and pixel for pixel as `encodeRle`. */
export function renderMask(mask: CellMask, paint: MaskPainter = paintMask): Promise<Uint8Array> {
  return paint(mask, 'mask');
}

/**
 * The object outlined and lightly tinted on its dimmed photo.
 *
 * @returns PNG of the photo's size, scaled down to 4 megapixels where it is larger
 * @throws DinoError as the reader does
 */
export async function renderMaskOverlay(
  { image, cells, grid }: PhotoMask,
  paint: MaskPainter = paintMask,
): Promise<Uint8Array> {
  return paintOn(image, MAX_PICTURE_PIXELS, async (photo, { width, height }) => {
    const input = Buffer.from(await paint({ cells, grid, width, height }, 'overlay'));
    return photo.composite([{ input }]).png().toBuffer();
  });
}

/**
 * The object alone, the rest transparent.
 *
 * @returns PNG with alpha, of the photo's size, scaled down to 4 megapixels where it is larger
 * @throws DinoError as the reader does
 */
export async function renderCutout(
  { image, cells, grid }: PhotoMask,
  paint: MaskPainter = paintMask,
): Promise<Uint8Array> {
  return paintOn(image, MAX_PICTURE_PIXELS, async (photo, { width, height }) => {
    const input = Buffer.from(await paint({ cells, grid, width, height }, 'cutout'));
    return photo
      .ensureAlpha()
      .composite([{ input, blend: 'dest-in' }])
      .png()
      .toBuffer();
  });
}
