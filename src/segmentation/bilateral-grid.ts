import type { Pixels } from '../vision/pixels.js';

/** Sides of a cell of the grid. */
export interface BilateralSigmas {
  /** In px, above 0. */
  readonly spatial: number;
  /** In grey levels, above 0. */
  readonly luma: number;
  /** In levels of either colour difference, above 0. */
  readonly chroma: number;
}

/** Axes of the grid: x, y, luma and two colour differences. */
export const AXES = 5;

/**
 * The cells of a picture's five-dimensional space of place and colour (BT.601) that hold a pixel. Pixels of one cell
 * share one number, so that what is solved on the cells is smooth within a surface and sharp at its edge.
 * Source: Barron and Poole, The Fast Bilateral Solver (https://arxiv.org/abs/1511.03296), section 2.1, the simplified
 * bilateral grid.
 */
export class BilateralGrid {
  /** Cell of each pixel, row by row. */
  readonly cellOf: Int32Array;
  /** Pixels of each cell. */
  readonly pixelCounts: Float64Array;
  /** Per cell the two neighbours along each axis; `size` where there is none. */
  readonly #neighbours: Int32Array;

  /** @param sigmas sides of a cell */
  constructor({ data, width, height }: Pixels, sigmas: BilateralSigmas) {
    // A rim of empty cells on either side keeps neighbours apart that lie at opposite ends.
    const extents = [
      Math.floor((width - 1) / sigmas.spatial),
      Math.floor((height - 1) / sigmas.spatial),
      Math.floor(255 / sigmas.luma),
      Math.floor(256 / sigmas.chroma),
      Math.floor(256 / sigmas.chroma),
    ].map((last) => last + 3);
    const strides = [1];
    for (let axis = 1; axis < AXES; axis++) strides.push(strides[axis - 1]! * extents[axis - 1]!);
    const [, strideY, strideLuma, strideBlue, strideRed] = strides as [
      number,
      number,
      number,
      number,
      number,
    ];
    const numbers = new Map<number, number>();
    const places: number[] = [];
    const counts: number[] = [];
    this.cellOf = new Int32Array(width * height);
    let [lastPlace, lastCell] = [-1, -1];
    for (let y = 0, pixel = 0; y < height; y++) {
      const row = (1 + Math.floor(y / sigmas.spatial)) * strideY;
      for (let x = 0; x < width; x++, pixel++) {
        const [red, green, blue] = [data[3 * pixel]!, data[3 * pixel + 1]!, data[3 * pixel + 2]!];
        // In whole numbers, so that no rounding moves a pixel to the next cell.
        const luma = 299 * red + 587 * green + 114 * blue;
        const blueness = 128e6 - 168_736 * red - 331_264 * green + 500_000 * blue;
        const redness = 128e6 + 500_000 * red - 418_688 * green - 81_312 * blue;
        const place =
          1 +
          Math.floor(x / sigmas.spatial) +
          row +
          (1 + Math.floor(luma / (1000 * sigmas.luma))) * strideLuma +
          (1 + Math.floor(blueness / (1e6 * sigmas.chroma))) * strideBlue +
          (1 + Math.floor(redness / (1e6 * sigmas.chroma))) * strideRed;
        if (place !== lastPlace) {
          let cell = numbers.get(place);
          if (cell === undefined) {
            cell = places.length;
            numbers.set(place, cell);
            places.push(place);
            counts.push(0);
          }
          [lastPlace, lastCell] = [place, cell];
        }
        this.cellOf[pixel] = lastCell;
        counts[lastCell]!++;
      }
    }
    this.pixelCounts = Float64Array.from(counts);
    this.#neighbours = new Int32Array(places.length * 2 * AXES).fill(places.length);
    places.forEach((place, cell) => {
      strides.forEach((stride, axis) => {
        const first = cell * 2 * AXES + 2 * axis;
        this.#neighbours[first] = numbers.get(place - stride) ?? places.length;
        this.#neighbours[first + 1] = numbers.get(place + stride) ?? places.length;
      });
    });
  }

  /** Number of cells. */
  get size(): number {
    return this.pixelCounts.length;
  }

  /**
   * Blurs numbers on the cells by the kernel 1 2 1 along each axis, summed over the axes.
   *
   * @param values one a cell, and a 0 after the last
   * @param blurred one a cell; written
   */
  blur(values: Float64Array, blurred: Float64Array): void {
    const neighbours = this.#neighbours;
    const { size } = this;
    for (let cell = 0, at = 0; cell < size; cell++, at += 2 * AXES) {
      // Spelt out: a loop here takes twice as long.
      blurred[cell] =
        2 * AXES * values[cell]! +
        (values[neighbours[at]!]! + values[neighbours[at + 1]!]!) +
        (values[neighbours[at + 2]!]! + values[neighbours[at + 3]!]!) +
        (values[neighbours[at + 4]!]! + values[neighbours[at + 5]!]!) +
        (values[neighbours[at + 6]!]! + values[neighbours[at + 7]!]!) +
        (values[neighbours[at + 8]!]! + values[neighbours[at + 9]!]!);
    }
  }
}
