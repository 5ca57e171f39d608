import sharp from 'sharp';
import { fitWithin, MAX_PICTURE_PIXELS, paintOn } from './backdrop.js';
import { heatPalette, toHeatIndices } from './colour-map.js';
import { cellEdges, type CoverGrid } from './grid-cover.js';
import { colourGreyPng, encodeRowsAsPng, type RowRun } from './indexed-png.js';
import type { Size } from './resample-plan.js';

/** How a value a patch becomes a value a pixel: patches as they are, or smoothed. */
export type Interpolation = 'nearest' | 'bicubic';

export interface HeatMapOptions {
  /** One value a patch, row by row: `grid.height * grid.width`; any finite numbers, shown from lowest to highest. */
  readonly values: Float32Array;
  readonly grid: CoverGrid;
  /** Default `nearest`, as in the original `visualize_attention.py`. */
  readonly interpolation?: Interpolation;
}

/** Pixels between the heads of a strip. */
const STRIP_GAP = 4;

/**
 * A heat map in the inferno colours, lowest value dark, highest bright.
 *
 * @param options.width width of the picture in px
 * @param options.height height of the picture in px
 * @returns PNG
 */
export async function renderHeatMap(options: HeatMapOptions & Size): Promise<Buffer> {
  return heatPng(options, options, 1);
}

/**
 * The heat map laid over the photo, both as seen upright.
 *
 * @param options.image bytes that an `ImageReader` has accepted
 * @param options.opacity share of the heat map in the colour, 0..1; default 0.6
 * @returns PNG of the photo's size, scaled down to 4 megapixels where it is larger
 * @throws DinoError as the reader does
 */
export async function renderOverlay(
  options: HeatMapOptions & { readonly image: Uint8Array; readonly opacity?: number },
): Promise<Buffer> {
  return overlayPng(options.image, options, options.opacity ?? 0.6, MAX_PICTURE_PIXELS);
}

/**
 * All heads side by side, each from its own lowest to its own highest value: as heat maps, or over the photo
 * where there is one.
 *
 * @param options.heads one row of values per head, at least one
 * @param options.width width of the photo in px
 * @param options.height height of the photo in px
 * @returns PNG; each head has the photo's shape, scaled down until the strip has at most 4 megapixels
 * @throws DinoError as the reader does
 */
export async function renderHeadStrip(
  options: Omit<HeatMapOptions, 'values'> &
    Size & {
      readonly heads: readonly Float32Array[];
      readonly image?: Uint8Array;
      readonly opacity?: number;
    },
): Promise<Buffer> {
  const { heads, image, grid, interpolation, opacity = 0.6 } = options;
  const maxPixels = Math.floor(MAX_PICTURE_PIXELS / heads.length);
  const pictures: Buffer[] = [];
  // One after another: a strip is one request's share of the threads, like any other picture.
  for (const values of heads) {
    const map = { values, grid, interpolation };
    pictures.push(
      image === undefined
        ? await heatPng(map, fitWithin(options, maxPixels), 1)
        : await overlayPng(image, map, opacity, maxPixels),
    );
  }
  if (pictures.length === 1) return pictures[0]!;
  return sharp(pictures, { join: { across: pictures.length, shim: STRIP_GAP, background: '#ffffff' } })
    .png()
    .toBuffer();
}

function overlayPng(
  image: Uint8Array,
  map: HeatMapOptions,
  opacity: number,
  maxPixels: number,
): Promise<Buffer> {
  return paintOn(image, maxPixels, async (photo, size) =>
    photo
      .composite([{ input: await heatPng(map, size, opacity) }])
      .png()
      .toBuffer(),
  );
}

async function heatPng(map: HeatMapOptions, size: Size, opacity: number): Promise<Buffer> {
  const { values, grid, interpolation = 'nearest' } = map;
  if (values.length !== grid.width * grid.height) {
    throw new RangeError(`${values.length} values for a grid of ${grid.width} x ${grid.height}`);
  }
  const indices = toHeatIndices(values);
  const palette = heatPalette(opacity);
  if (interpolation === 'nearest') return encodeRowsAsPng({ runs: patchRows(indices, grid, size), palette });
  const grey = await sharp(indices, { raw: { width: grid.width, height: grid.height, channels: 1 } })
    .resize(size.width, size.height, { fit: 'fill', kernel: 'cubic' })
    .toColourspace('b-w')
    .png()
    .toBuffer();
  return colourGreyPng(grey, palette);
}

function patchRows(indices: Uint8Array, grid: CoverGrid, size: Size): RowRun[] {
  const columns = cellEdges(size.width, grid.width);
  const rows = cellEdges(size.height, grid.height);
  return Array.from({ length: grid.height }, (_, row) => {
    const pixels = new Uint8Array(size.width);
    for (let column = 0; column < grid.width; column++) {
      pixels.fill(indices[row * grid.width + column]!, columns[column], columns[column + 1]);
    }
    return { row: pixels, count: rows[row + 1]! - rows[row]! };
  });
}
