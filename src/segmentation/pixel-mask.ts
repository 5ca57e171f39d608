import { assertCellMask, cellEdges, type CellMask } from '../vision/grid-cover.js';

/** `[x, y, width, height]` in px; all 0 for a mask without pixels. */
export type BoundingBox = [x: number, y: number, width: number, height: number];

/** Number of pixels that a mask covers. Cost: one step a cell. */
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

/** The smallest box around the pixels that a mask covers. Cost: one step a cell. */
export function maskBox(mask: CellMask): BoundingBox {
  assertCellMask(mask);
  const { cells, grid } = mask;
  const columns = cellEdges(mask.width, grid.width);
  const rows = cellEdges(mask.height, grid.height);
  let [left, top, right, bottom] = [Infinity, Infinity, 0, 0];
  for (let row = 0; row < grid.height; row++) {
    for (let column = 0; column < grid.width; column++) {
      const [x, y, endX, endY] = [columns[column]!, rows[row]!, columns[column + 1]!, rows[row + 1]!];
      // Where a picture has fewer pixels than cells, some cells cover none.
      if (cells[row * grid.width + column] === 0 || endX === x || endY === y) continue;
      left = Math.min(left, x);
      top = Math.min(top, y);
      right = Math.max(right, endX);
      bottom = Math.max(bottom, endY);
    }
  }
  return right === 0 ? [0, 0, 0, 0] : [left, top, right - left, bottom - top];
}
