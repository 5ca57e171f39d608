import type { Sharp } from 'sharp';
import { explainingFailure, inspectImage, openImage, type ImageLimits } from './decoder.js';
import type { Size } from './resample-plan.js';

/** Pictures that show the photo itself are scaled down to at most so many pixels. */
export const MAX_PICTURE_PIXELS = 4_000_000;

/** For images that an `ImageReader` has accepted by its own, narrower limits: sharp's default limit. */
const ACCEPTED: ImageLimits = { maxPixels: 0x3fff ** 2, timeoutSeconds: 60 };

/**
 * Paints on a photo.
 *
 * @param image bytes that an `ImageReader` has accepted
 * @param maxPixels the photo is scaled down to this where it is larger
 * @param paint given the photo (upright, sRGB, on white where it is transparent) and its size, returns the picture
 * @throws DinoError as the reader does
 */
export async function paintOn(
  image: Uint8Array,
  maxPixels: number,
  paint: (photo: Sharp, size: Size) => Promise<Buffer>,
): Promise<Buffer> {
  const info = await inspectImage(image, ACCEPTED);
  const size = fitWithin(info, maxPixels);
  return explainingFailure(info.mediaType, ACCEPTED, () => {
    const photo = openImage(image, ACCEPTED)
      .flatten({ background: '#ffffff' })
      .resize(size.width, size.height, { fit: 'fill' });
    return paint(photo, size);
  });
}

/** The largest size of the same shape with at most `maxPixels` pixels; never larger than `size`. */
export function fitWithin(size: Size, maxPixels: number): Size {
  const scale = Math.min(1, Math.sqrt(maxPixels / (size.width * size.height)));
  const width = Math.max(1, Math.floor(size.width * scale));
  const height = Math.max(1, Math.floor(size.height * scale));
  return { width: Math.min(width, maxPixels), height: Math.min(height, maxPixels) };
}
