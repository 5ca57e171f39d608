import { MAX_PICTURE_PIXELS, paintOn } from './backdrop.js';
import { assertCellMask, cellEdges, type CellMask, type CoverGrid } from './grid-cover.js';
import { encodeRowsAsPng, type RowRun } from './indexed-png.js';

export interface PhotoMask {
  /** Bytes that an `ImageReader` has accepted. */
  readonly image: Uint8Array;
  /** One byte a patch, row by row; any value but 0 is the object. */
  readonly cells: Uint8Array;
  readonly grid: CoverGrid;
}

const OUTSIDE = 0;
const OBJECT = 1;
const OUTLINE = 2;

/** Ground dimmed, object slightly tinted, outline bright: RGBA of the three indices above. */
const OVERLAY_PALETTE = Uint8Array.from([0, 0, 0, 150, 255, 196, 0, 56, 255, 196, 0, 255]);
/** Only the alpha counts: what is outside goes, what is inside stays. */
const CUTOUT_PALETTE = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 255]);

/** The mask as a grey PNG: 255 on the object, 0 elsewhere, at the size given and pixel for pixel as `encodeRle`. */
export async function renderMask(mask: CellMask): Promise<Buffer> {
  return encodeRowsAsPng({ runs: maskRows(mask, { inside: 255, outline: 255, thickness: 0 }) });
}

/**
 * The object outlined and lightly tinted on its dimmed photo.
 *
 * @returns PNG of the photo's size, scaled down to 4 megapixels where it is larger
 * @throws DinoError as the reader does
 */
export async function renderMaskOverlay({ image, cells, grid }: PhotoMask): Promise<Buffer> {
  return paintOn(image, MAX_PICTURE_PIXELS, async (photo, { width, height }) => {
    const thickness = Math.max(1, Math.round(Math.min(width, height) / 150));
    const runs = maskRows({ cells, grid, width, height }, { inside: OBJECT, outline: OUTLINE, thickness });
    const paint = await encodeRowsAsPng({ runs, palette: OVERLAY_PALETTE });
    return photo
      .composite([{ input: paint }])
      .png()
      .toBuffer();
  });
}

/**
 * The object alone, the rest transparent.
 *
 * @returns PNG with alpha, of the photo's size, scaled down to 4 megapixels where it is larger
 * @throws DinoError as the reader does
 */
export async function renderCutout({ image, cells, grid }: PhotoMask): Promise<Buffer> {
  return paintOn(image, MAX_PICTURE_PIXELS, async (photo, { width, height }) => {
    const runs = maskRows({ cells, grid, width, height }, { inside: OBJECT, outline: OBJECT, thickness: 0 });
    const paint = await encodeRowsAsPng({ runs, palette: CUTOUT_PALETTE });
    return photo
      .ensureAlpha()
      .composite([{ input: paint, blend: 'dest-in' }])
      .png()
      .toBuffer();
  });
}

interface MaskStyle {
  readonly inside: number;
  readonly outline: number;
  /** Of the outline, in px, within the object; 0 for none. */
  readonly thickness: number;
}

/** A patch row has at most three kinds of pixel row: outlined above, plain, outlined below. */
function maskRows(mask: CellMask, style: MaskStyle): RowRun[] {
  assertCellMask(mask);
  const rows = cellEdges(mask.height, mask.grid.height);
  const columns = cellEdges(mask.width, mask.grid.width);
  const runs: RowRun[] = [];
  for (let row = 0; row < mask.grid.height; row++) {
    const count = rows[row + 1]! - rows[row]!;
    if (count === 0) continue;
    const band = Math.min(style.thickness, Math.floor(count / 2));
    if (band > 0) runs.push({ row: pixelRow(mask, columns, row, style, row - 1), count: band });
    if (count > 2 * band) runs.push({ row: pixelRow(mask, columns, row, style), count: count - 2 * band });
    if (band > 0) runs.push({ row: pixelRow(mask, columns, row, style, row + 1), count: band });
  }
  return runs;
}

/** @param facing the patch row that these pixels lie next to: patches that end there are outlined over their whole width */
function pixelRow(
  mask: CellMask,
  columns: Uint32Array,
  row: number,
  style: MaskStyle,
  facing = row,
): Uint8Array {
  const { cells, grid } = mask;
  // Beyond the picture's edge the object is taken to go on, so that no outline runs along the edge.
  const isInside = (atRow: number, atColumn: number) =>
    cells[clamp(atRow, grid.height) * grid.width + clamp(atColumn, grid.width)] !== 0;
  const pixels = new Uint8Array(mask.width).fill(OUTSIDE);
  for (let column = 0; column < grid.width; column++) {
    if (!isInside(row, column)) continue;
    const [start, end] = [columns[column]!, columns[column + 1]!];
    if (!isInside(facing, column)) {
      pixels.fill(style.outline, start, end);
      continue;
    }
    pixels.fill(style.inside, start, end);
    if (!isInside(row, column - 1)) pixels.fill(style.outline, start, Math.min(end, start + style.thickness));
    if (!isInside(row, column + 1)) pixels.fill(style.outline, Math.max(start, end - style.thickness), end);
  }
  return pixels;
}

function clamp(index: number, length: number): number {
  return Math.min(Math.max(index, 0), length - 1);
}
