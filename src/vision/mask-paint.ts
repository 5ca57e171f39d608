import { assertCellMask, cellEdges, expandMask, type CellMask } from './grid-cover.js';
import { encodeRowsAsPng, type RowRun } from './indexed-png.js';

/** `mask`: the picture itself, white on black; `overlay` and `cutout`: what is laid over the photo for it. */
export type MaskPicture = 'mask' | 'overlay' | 'cutout';

/** Paints a mask as a PNG of its picture's size. */
export type MaskPainter = (mask: CellMask, picture: MaskPicture) => Promise<Uint8Array>;

const OUTSIDE = 0;
const OBJECT = 1;
const OUTLINE = 2;

/** Ground dimmed, object slightly tinted, outline bright: RGBA of the three indices above. */
const OVERLAY_PALETTE = Uint8Array.from([0, 0, 0, 150, 255, 196, 0, 56, 255, 196, 0, 255]);
/** Only the alpha counts: what is outside goes, what is inside stays. */
const CUTOUT_PALETTE = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 255]);

/** Works row by row without a pause: a mask of many cells, and any overlay, is for a worker. */
export const paintMask: MaskPainter = async (mask, picture) => {
  if (picture === 'mask') return encodeRowsAsPng({ runs: maskRows(mask, 255) });
  if (picture === 'cutout') {
    return encodeRowsAsPng({ runs: maskRows(mask, OBJECT), palette: CUTOUT_PALETTE });
  }
  const thickness = Math.max(1, Math.round(Math.min(mask.width, mask.height) / 150));
  return encodeRowsAsPng({ runs: outlinedRows(mask, thickness), palette: OVERLAY_PALETTE });
};

/** The pixel rows of a mask, those of one row of cells together. */
function maskRows(mask: CellMask, inside: number): RowRun[] {
  assertCellMask(mask);
  const { cells, grid } = mask;
  const rows = cellEdges(mask.height, grid.height);
  const columns = cellEdges(mask.width, grid.width);
  const runs: RowRun[] = [];
  for (let row = 0; row < grid.height; row++) {
    const count = rows[row + 1]! - rows[row]!;
    if (count === 0) continue;
    const pixels = new Uint8Array(mask.width).fill(OUTSIDE);
    for (let column = 0; column < grid.width; column++) {
      if (cells[row * grid.width + column] !== 0) pixels.fill(inside, columns[column], columns[column + 1]);
    }
    runs.push({ row: pixels, count });
  }
  return runs;
}

/**
 * The pixel rows of a mask whose pixels are outline where one outside lies within a square of `thickness` px to each
 * side. Beyond the picture's edge the object is taken to go on, so that no outline runs along the edge.
 */
function outlinedRows(mask: CellMask, thickness: number): RowRun[] {
  const { width, height } = mask;
  const pixels = expandMask(mask);
  const row = (y: number) => pixels.subarray(y * width, (y + 1) * width);
  // How many rows, up to this one, are inside without a gap, with all that lies within `thickness` to the sides.
  const heights = new Uint32Array(width).fill(thickness);
  const runs: RowRun[] = Array.from({ length: height }, (_, y) => ({
    row: Uint8Array.from(row(y)),
    count: 1,
  }));
  for (let y = 0; y < height + thickness; y++) {
    const wide = wideParts(row(Math.min(y, height - 1)), thickness);
    const outlined = y - thickness;
    for (let x = 0; x < width; x++) {
      heights[x] = wide[x] === 1 ? heights[x]! + 1 : 0;
      if (outlined < 0 || runs[outlined]!.row[x] === 0) continue;
      runs[outlined]!.row[x] = heights[x]! > 2 * thickness ? OBJECT : OUTLINE;
    }
  }
  return runs;
}

/** 1 where the row is inside from `thickness` before a pixel to `thickness` after it. */
function wideParts(row: Uint8Array, thickness: number): Uint8Array {
  const wide = new Uint8Array(row.length);
  let length = thickness;
  for (let x = 0; x < row.length + thickness; x++) {
    length = row[Math.min(x, row.length - 1)] === 0 ? 0 : length + 1;
    if (x >= thickness && length > 2 * thickness) wide[x - thickness] = 1;
  }
  return wide;
}
