import sharp from 'sharp';
import { paintOn } from './backdrop.js';
import type { Size } from './resample-plan.js';

/** Side in px of the square that each photo is fitted into. */
const SIDE = 720;

/** Pixels between the photos. */
const GAP = 12;

/** A photo of a picture of several, and where it lies. */
export interface Placed {
  readonly left: number;
  readonly top: number;
  /** Size in the picture, in px. */
  readonly width: number;
  readonly height: number;
  /** Pixels of the picture per pixel of the photo, across and down. */
  readonly scaleX: number;
  readonly scaleY: number;
}

/**
 * Photos side by side on white, each enlarged or scaled down to 720 px on its longer side, so that small ones can be
 * seen and long ones don't push the others out.
 *
 * @param images bytes that an `ImageReader` has accepted
 * @param paint given where the photos lie, paints on a transparent picture to be laid over them: RGBA, row by row
 * @returns PNG
 * @throws DinoError as the reader does
 */
export async function renderSideBySide(
  images: readonly Uint8Array[],
  paint: (overlay: Uint8Array, size: Size, placed: readonly Placed[]) => void,
): Promise<Buffer> {
  const photos: { data: Buffer; scale: Omit<Placed, 'left' | 'top'> }[] = [];
  // One after another: a picture is one request's share of the threads.
  for (const image of images) photos.push(await fitted(image));
  const height = Math.max(...photos.map(({ scale }) => scale.height));
  let left = 0;
  const placed = photos.map(({ scale }) => {
    const place = { ...scale, left, top: Math.floor((height - scale.height) / 2) };
    left += scale.width + GAP;
    return place;
  });
  const size = { width: left - GAP, height };
  const overlay = Buffer.alloc(size.width * size.height * 4);
  paint(overlay, size, placed);
  return sharp({ create: { ...size, channels: 3, background: '#ffffff' } })
    .composite([
      ...photos.map(({ data }, at) => ({ input: data, left: placed[at]!.left, top: placed[at]!.top })),
      { input: overlay, raw: { ...size, channels: 4 }, left: 0, top: 0 },
    ])
    .png()
    .toBuffer();
}

async function fitted(image: Uint8Array) {
  let original: Size = { width: 1, height: 1 };
  const data = await paintOn(image, Infinity, async (photo, size) => {
    original = size;
    const scale = SIDE / Math.max(size.width, size.height);
    const width = Math.max(1, Math.round(size.width * scale));
    const height = Math.max(1, Math.round(size.height * scale));
    return photo.resize(width, height, { fit: 'fill' }).png({ compressionLevel: 1 }).toBuffer();
  });
  const { width, height } = await sharp(data).metadata();
  const scale = { width, height, scaleX: width / original.width, scaleY: height / original.height };
  return { data, scale };
}
