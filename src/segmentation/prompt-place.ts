import { DinoError } from '../errors.js';
import type { Grid } from '../inference/features.js';

/** In px, after EXIF orientation. */
export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

/** In px of the image, from its top left corner. */
export type Point = readonly [x: number, y: number];
export type Box = readonly [x: number, y: number, width: number, height: number];

/** The patch that a point lies in, counted row by row. @throws DinoError `invalid-request` for a point not on the image */
export function patchAt([x, y]: Point, size: ImageSize, grid: Grid): number {
  const { width, height } = size;
  if (!(x >= 0 && x < width && y >= 0 && y < height)) {
    const detail = `The point ${x},${y} is not on the image, which has ${width} x ${height} px.`;
    throw new DinoError('invalid-request', detail);
  }
  return Math.floor((y * grid.height) / height) * grid.width + Math.floor((x * grid.width) / width);
}

/**
 * The patches whose centre lies in a box, cut to the image; where there is none, the one under the box's centre.
 *
 * @returns one byte a patch, 1 inside and 0 outside
 * @throws DinoError `invalid-request` for a box without extent, or beside the image
 */
export function patchesIn(box: Box, { width, height }: ImageSize, grid: Grid): Uint8Array {
  if (!(box[2] > 0 && box[3] > 0)) {
    throw new DinoError(
      'invalid-request',
      `The box ${box.join(',')} has no extent: it is x,y,width,height in px.`,
    );
  }
  const [left, right] = [Math.max(0, box[0]), Math.min(width, box[0] + box[2])];
  const [top, bottom] = [Math.max(0, box[1]), Math.min(height, box[1] + box[3])];
  if (!(left < right && top < bottom)) {
    const detail = `The box ${box.join(',')} lies beside the image, which has ${width} x ${height} px.`;
    throw new DinoError('invalid-request', detail);
  }
  const cells = Uint8Array.from({ length: grid.width * grid.height }, (_, patch) => {
    const x = (((patch % grid.width) + 0.5) * width) / grid.width;
    const y = ((Math.floor(patch / grid.width) + 0.5) * height) / grid.height;
    return x >= left && x < right && y >= top && y < bottom ? 1 : 0;
  });
  if (!cells.includes(1))
    cells[patchAt([(left + right) / 2, (top + bottom) / 2], { width, height }, grid)] = 1;
  return cells;
}
