import { assertCellMask, cellEdges, type CellMask } from '../vision/grid-cover.js';

/** A closed line `[x1, y1, x2, y2, ...]` in px along the edges of pixels, its last corner joined to the first. */
export type Ring = number[];

/** Directions in the order of right turns: east, south, west, north. */
const STEPS = [
  [1, 0],
  [0, 1],
  [-1, 0],
  [0, -1],
] as const;

/**
 * The exact outline of a mask's pixels. Outer rings run clockwise as seen on the screen, the rings of holes
 * counter-clockwise and each after the ring around it; pixels that touch by a corner alone lie in rings of their own.
 * So filling by the even-odd or by the nonzero rule gives the mask, and the shoelace formula summed over the rings
 * its area. Cost: one step a cell and one for each edge of a cell on the outline.
 */
export function outlineOf(mask: CellMask): Ring[] {
  assertCellMask(mask);
  const columns = visible(cellEdges(mask.width, mask.grid.width));
  const rows = visible(cellEdges(mask.height, mask.grid.height));
  const stride = columns.cells.length + 1;
  const edges = outlineEdges(mask, columns.cells, rows.cells);
  const rings: Ring[] = [];
  for (let start = 0; start < edges.length; start++) {
    // Every ring has an edge to the east, and the first of them begins at a corner.
    while ((edges[start]! & 1) !== 0) rings.push(traceRing(edges, start, stride, columns.at, rows.at));
  }
  return rings;
}

/** Cells along one side that cover a pixel, and where they begin, with the picture's end after the last. */
function visible(edges: Uint32Array): { cells: number[]; at: number[] } {
  const cells = Array.from({ length: edges.length - 1 }, (_, cell) => cell).filter(
    (cell) => edges[cell + 1]! > edges[cell]!,
  );
  return { cells, at: [...cells.map((cell) => edges[cell]!), edges.at(-1)!] };
}

/** For each corner of the cells the edges that leave it, a bit for each direction, with the inside on their right. */
function outlineEdges({ cells, grid }: CellMask, columns: number[], rows: number[]): Uint8Array {
  const stride = columns.length + 1;
  const edges = new Uint8Array(stride * (rows.length + 1));
  const isInside = (row: number, column: number) =>
    row >= 0 &&
    row < rows.length &&
    column >= 0 &&
    column < columns.length &&
    cells[rows[row]! * grid.width + columns[column]!] !== 0;
  for (let row = 0; row < rows.length; row++) {
    for (let column = 0; column < columns.length; column++) {
      if (!isInside(row, column)) continue;
      const corner = row * stride + column;
      if (!isInside(row - 1, column)) edges[corner]! |= 1;
      if (!isInside(row, column + 1)) edges[corner + 1]! |= 2;
      if (!isInside(row + 1, column)) edges[corner + stride + 1]! |= 4;
      if (!isInside(row, column - 1)) edges[corner + stride]! |= 8;
    }
  }
  return edges;
}

/** Follows a ring from a corner to the east, and takes its edges away. */
function traceRing(edges: Uint8Array, start: number, stride: number, xs: number[], ys: number[]): Ring {
  const ring: Ring = [];
  let corner = start;
  let direction = 0;
  let isTurn = true;
  do {
    if (isTurn) ring.push(xs[corner % stride]!, ys[Math.floor(corner / stride)]!);
    // The first edge stays to the end, so that the line is seen to come back to it.
    if (corner !== start || direction !== 0) edges[corner]! &= ~(1 << direction);
    const [x, y] = STEPS[direction]!;
    corner += x + y * stride;
    // Rightmost first: where two cells touch by a corner, the line stays with its own.
    const turn = [1, 0, 3].find((by) => (edges[corner]! & (1 << ((direction + by) % 4))) !== 0) ?? 0;
    isTurn = turn !== 0;
    direction = (direction + turn) % 4;
  } while (corner !== start || direction !== 0);
  edges[start]! &= ~1;
  return ring;
}
