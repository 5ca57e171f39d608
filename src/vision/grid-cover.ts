/** Rows and columns of patches that together cover a picture. */
export interface CoverGrid {
  readonly height: number;
  readonly width: number;
}

/**
 * Where each cell of a row (or column) of patches begins in pixels. A pixel x belongs to cell
 * floor((x + 0.5) * cells / pixels), that is, to the one its centre lies in.
 *
 * @param pixels length of the side in px
 * @param cells patches along it
 * @returns `cells + 1` ascending offsets: cell i covers the pixels from `[i]` up to, not including, `[i + 1]`;
 *   none where the picture has fewer pixels than patches
 */
export function cellEdges(pixels: number, cells: number): Uint32Array {
  const edges = new Uint32Array(cells + 1);
  for (let cell = 1; cell <= cells; cell++) {
    // The smallest whole x with (x + 0.5) * cells >= cell * pixels, in whole numbers so that it is exact.
    edges[cell] = Math.ceil((2 * cell * pixels - cells) / (2 * cells));
  }
  return edges;
}

/** A mask of patches and the picture that it covers. */
export interface CellMask {
  /** One byte a patch, row by row, `grid.height * grid.width`; any value but 0 is inside. */
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
