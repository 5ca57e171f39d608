import { DinoError } from '../errors.js';
import type { Area, ImageInfo } from '../vision/image-reader.js';
import { cellEdges } from '../vision/grid-cover.js';
import type { Features } from './features.js';

/** A part of an image. */
export type Region =
  /** `[x, y, width, height]` in px, which may be fractions. */
  { readonly bbox: readonly number[] } | RegionMask;

/** As large as the upright image. */
export interface RegionMask {
  /** Pixels column by column from the top left: so many outside, so many inside, and so on; they sum to all pixels. */
  readonly runs: readonly number[];
  readonly width: number;
  readonly height: number;
}

/**
 * What stands for a region: `crop`, the embedding of its box alone; `tokens`, the mean of its patches' tokens when the
 * model looks at the whole image.
 */
export type RegionVector = 'crop' | 'tokens';

/**
 * The whole pixels of the image that hold the region.
 *
 * @throws DinoError invalid-request for a region without a pixel of the image, or a mask of another size
 */
export function areaOf(region: Region, { width, height }: ImageInfo): Area {
  if ('runs' in region) {
    if (region.width !== width || region.height !== height) {
      const sizes = `${region.width} x ${region.height} px, but the image ${width} x ${height}`;
      throw new DinoError('invalid-request', `The region's mask has ${sizes}.`);
    }
    return boxOfMask(region);
  }
  const [x, y, boxWidth, boxHeight] = region.bbox as [number, number, number, number];
  const left = Math.max(0, Math.floor(x));
  const top = Math.max(0, Math.floor(y));
  const right = Math.min(width, Math.ceil(x + boxWidth));
  const bottom = Math.min(height, Math.ceil(y + boxHeight));
  if (!(boxWidth > 0 && boxHeight > 0 && right > left && bottom > top)) {
    const detail = `The region [${region.bbox.join(', ')}] holds no part of the image of ${width} x ${height} px.`;
    throw new DinoError('invalid-request', detail);
  }
  return { left, top, width: right - left, height: bottom - top };
}

/**
 * How much of each patch the region covers.
 *
 * @returns 0..1, one a patch row by row
 */
export function coverOf(region: Region, { width, height }: ImageInfo, grid: Features['grid']): Float32Array {
  const columns = cellEdges(width, grid.width);
  const rows = cellEdges(height, grid.height);
  const covered = new Float64Array(grid.width * grid.height);
  // The part of an image column from `top` to `bottom`, `across` px wide; px may be fractions.
  const add = (column: number, top: number, bottom: number, across: number) => {
    for (let row = 0; row < grid.height; row++) {
      const down = Math.min(bottom, rows[row + 1]!) - Math.max(top, rows[row]!);
      if (down > 0) covered[row * grid.width + column]! += across * down;
    }
  };
  if ('runs' in region) {
    const columnOf = cellOfPixel(columns);
    for (const { x, top, bottom } of columnParts(region)) add(columnOf[x]!, top, bottom, 1);
  } else {
    const [x, y, boxWidth, boxHeight] = region.bbox as [number, number, number, number];
    for (let column = 0; column < grid.width; column++) {
      const across = Math.min(columns[column + 1]!, x + boxWidth) - Math.max(columns[column]!, x);
      if (across > 0) add(column, y, y + boxHeight, across);
    }
  }
  return Float32Array.from(covered, (pixels, patch) => {
    const [row, column] = [Math.floor(patch / grid.width), patch % grid.width];
    const all = (rows[row + 1]! - rows[row]!) * (columns[column + 1]! - columns[column]!);
    return all === 0 ? 0 : pixels / all;
  });
}

/**
 * The mean of the patches' tokens, weighted.
 *
 * @param tokens [n, D]
 * @param weights n numbers >= 0, not all 0
 * @returns D numbers of any length
 */
export function weightedMean(tokens: Float32Array, weights: Float32Array): Float32Array {
  const dimension = tokens.length / weights.length;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const mean = new Float64Array(dimension);
  weights.forEach((weight, patch) => {
    if (weight === 0) return;
    const start = patch * dimension;
    for (let at = 0; at < dimension; at++) mean[at]! += (weight / total) * tokens[start + at]!;
  });
  return Float32Array.from(mean);
}

function boxOfMask(mask: RegionMask): Area {
  let [left, top, right, bottom] = [mask.width, mask.height, 0, 0];
  for (const part of columnParts(mask)) {
    left = Math.min(left, part.x);
    right = Math.max(right, part.x + 1);
    top = Math.min(top, part.top);
    bottom = Math.max(bottom, part.bottom);
  }
  if (right === 0) throw new DinoError('invalid-request', "The region's mask holds no pixel.");
  return { left, top, width: right - left, height: bottom - top };
}

/** The pixels of a mask as pieces of columns, from `top` up to, not including, `bottom`. */
function* columnParts({ runs, height }: RegionMask): Generator<{ x: number; top: number; bottom: number }> {
  let position = 0;
  for (const [index, length] of runs.entries()) {
    const end = position + length;
    while (index % 2 === 1 && position < end) {
      const x = Math.floor(position / height);
      const stop = Math.min(end, (x + 1) * height);
      yield { x, top: position - x * height, bottom: stop - x * height };
      position = stop;
    }
    position = end;
  }
}

/** In which cell each pixel lies. */
function cellOfPixel(edges: Uint32Array): Uint32Array {
  const cells = new Uint32Array(edges.at(-1)!);
  for (let cell = 0; cell + 1 < edges.length; cell++) cells.fill(cell, edges[cell], edges[cell + 1]);
  return cells;
}
