/** Rows and columns of cells that together cover a picture: a model's patches, or the pixels of a refined mask. */
export interface CoverGrid {
  readonly height: number;
  readonly width: number;
}

/**
 * Where each cell of a row (or column) begins in pixels. A pixel x belongs to cell
 * floor((x + 0.5) * cells / pixels), that is, to the one its centre lies in.
 *
 * @param pixels length of the side in px
 * @param cells cells along it
 * @returns `cells + 1` ascending offsets: cell i covers the pixels from `[i]` up to, not including, `[i + 1]`;
 *   none where the picture has fewer pixels than cells
 */
export function cellEdges(pixels: number, cells: number): Uint32Array {
  const edges = new Uint32Array(cells + 1);
  for (let cell = 1; cell <= cells; cell++) {
    // The smallest whole x with (x + 0.5) * cells >= cell * pixels, in whole numbers so that it is exact.
    edges[cell] = Math.ceil((2 * cell * pixels - cells) / (2 * cells));
  }
  return edges;
}

/** A mask made of cells, and the picture that it covers. A mask of pixels has as many cells as the picture has pixels. */
export interface CellMask {
  /** One byte a cell, row by row, `grid.height * grid.width`; any value but 0 is inside. */
  readonly cells: Uint8Array;
  readonly grid: CoverGrid;
  /** Width of the picture in px. */
  readonly width: number;
  /** Height of the picture in px. */
  readonly height: number;
}

/** @throws RangeError when the numbers don't fit together, which only a mistake of ours can cause */
export function assertCellMask({ cells, grid, width, height }: CellMask): void {
  if (cells.length !== grid.width * grid.height || !(width >= 1) || !(height >= 1)) {
    throw new RangeError(
      `${cells.length} cells for a grid of ${grid.width} x ${grid.height} on ${width} x ${height} px`,
    );
  }
}

/**
 * The pixels of a mask.
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
