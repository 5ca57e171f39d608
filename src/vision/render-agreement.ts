import { heatPalette, toHeatIndices } from './colour-map.js';
import { cellEdges, type CoverGrid } from './grid-cover.js';
import { renderSideBySide, type Placed } from './side-by-side.js';

export interface AgreementMap {
  /** Bytes that an `ImageReader` has accepted. */
  readonly image: Uint8Array;
  /** One value a patch, row by row; any finite numbers. */
  readonly values: Float32Array;
  readonly grid: CoverGrid;
}

/**
 * Photos side by side, each under its heat map; all on one scale, from the lowest value of all to the highest.
 *
 * @param options.opacity share of the heat maps in the colour, 0..1
 * @returns PNG
 * @throws DinoError as the reader does
 */
export async function renderAgreement(options: {
  readonly maps: readonly AgreementMap[];
  readonly opacity: number;
}): Promise<Buffer> {
  const { maps, opacity } = options;
  const indices = toHeatIndices(concatenated(maps.map(({ values }) => values)));
  // A colour is a word of four bytes, so that a row of a patch is filled at once.
  const palette = new Uint32Array(heatPalette(opacity).buffer);
  return renderSideBySide(
    maps.map(({ image }) => image),
    (overlay, size, placed) => {
      const pixels = new Uint32Array(overlay.buffer, overlay.byteOffset, size.width * size.height);
      let start = 0;
      for (const [at, { grid, values }] of maps.entries()) {
        const own = indices.subarray(start, (start += values.length));
        paintMap({ pixels, width: size.width, palette }, own, grid, placed[at]!);
      }
    },
  );
}

function concatenated(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let start = 0;
  for (const part of parts) {
    all.set(part, start);
    start += part.length;
  }
  return all;
}

interface Canvas {
  /** RGBA, a word a pixel. */
  readonly pixels: Uint32Array;
  /** Of a row, in px. */
  readonly width: number;
  /** 256 colours. */
  readonly palette: Uint32Array;
}

function paintMap(canvas: Canvas, indices: Uint8Array, grid: CoverGrid, place: Placed): void {
  const { pixels, width, palette } = canvas;
  const columns = cellEdges(place.width, grid.width);
  const rows = cellEdges(place.height, grid.height);
  for (let row = 0; row < grid.height; row++) {
    for (let y = rows[row]!; y < rows[row + 1]!; y++) {
      const start = (place.top + y) * width + place.left;
      for (let column = 0; column < grid.width; column++) {
        const colour = palette[indices[row * grid.width + column]!]!;
        pixels.fill(colour, start + columns[column]!, start + columns[column + 1]!);
      }
    }
  }
}
