import { assertCellMask, cellEdges, type CellMask } from '../vision/grid-cover.js';

/** `[x, y, width, height]` in px; all 0 for a mask without pixels. */
export type BoundingBox = [x: number, y: number, width: number, height: number];

/** Number of pixels that a mask of patches covers. Cost: one step a patch. */
export function maskArea(mask: CellMask): number {
  assertCellMask(mask);
  const { cells, grid } = mask;
  const columns = cellEdges(mask.width, grid.width);
  const rows = cellEdges(mask.height, grid.height);
  let area = 0;
  for (let row = 0; row < grid.height; row++) {
    let covered = 0;
    for (let column = 0; column < grid.width; column++) {
      if (cells[row * grid.width + column] !== 0) covered += columns[column + 1]! - columns[column]!;
    }
    area += covered * (rows[row + 1]! - rows[row]!);
  }
  return area;
}

/** The smallest box around the pixels that a mask of patches covers. Cost: one step a patch. */
export function maskBox(mask: CellMask): BoundingBox {
  assertCellMask(mask);
  const { cells, grid } = mask;
  const columns = cellEdges(mask.width, grid.width);
  const rows = cellEdges(mask.height, grid.height);
  let [left, top, right, bottom] = [Infinity, Infinity, 0, 0];
  for (let row = 0; row < grid.height; row++) {
    for (let column = 0; column < grid.width; column++) {
      const [x, y, endX, endY] = [columns[column]!, rows[row]!, columns[column + 1]!, rows[row + 1]!];
      // Where a picture has fewer pixels than patches, some patches cover none.
      if (cells[row * grid.width + column] === 0 || endX === x || endY === y) continue;
      left = Math.min(left, x);
      top = Math.min(top, y);
      right = Math.max(right, endX);
      bottom = Math.max(bottom, endY);
    }
  }
  return right === 0 ? [0, 0, 0, 0] : [left, top, right - left, bottom - top];
}

/**
 * A mask of patches as a mask of pixels.
 *
 * @returns `height * width` bytes, row by row, 1 inside and 0 outside
 */
export function expandMask(mask: CellMask): Uint8Array {
  assertCellMask(mask);
  const { cells, grid, width, height } = mask;
  const columns = cellEdges(width, grid.width);
  const rows = cellEdges(height, grid.height);
  const pixels = new Uint8Array(width * height);
  for (let row = 0; row < grid.height; row++) {
    const [start, end] = [rows[row]!, rows[row + 1]!];
    if (start === end) continue;
    const first = start * width;
    for (let column = 0; column < grid.width; column++) {
      if (cells[row * grid.width + column] !== 0) {
        pixels.fill(1, first + columns[column]!, first + columns[column + 1]!);
      }
    }
    for (let y = start + 1; y < end; y++) pixels.copyWithin(y * width, first, first + width);
  }
  return pixels;
}
