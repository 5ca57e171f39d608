import sharp, { type Sharp } from 'sharp';
import { DinoError } from '../errors.js';
import { readJpegHeader } from './jpeg-header.js';
import { detectMediaType, type ImageMediaType } from './media-type.js';
import type { Size } from './resample-plan.js';

// Everything below is process-wide in sharp, so it is set once, where sharp enters the program.
// Each request's image is another one: a cache of operations would only hold memory.
sharp.cache(false);
// One thread an image: many images are read at once, each on its own thread of libuv's pool, and more threads
// inside one image would only take time from the others and from inference.
sharp.concurrency(1);
// Whatever decoder is not needed cannot be attacked.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: [
    'VipsForeignLoadJpeg',
    'VipsForeignLoadPng',
    'VipsForeignLoadWebp',
    'VipsForeignLoadNsgif',
    'VipsForeignLoadHeif',
  ],
});

/** What an image may cost before it is refused. */
export interface ImageLimits {
  /** Largest number of pixels (width times height) an image may have. */
  readonly maxPixels: number;
  /** Seconds after which work on one image is given up; whole, at least 1. */
  readonly timeoutSeconds: number;
}

/** What the header of an image says. */
export interface ImageInfo {
  /** Found in the bytes, whatever the sender declared. */
  readonly mediaType: ImageMediaType;
  /** Pixels, as seen upright (after the EXIF orientation). */
  readonly width: number;
  /** Pixels, as seen upright (after the EXIF orientation). */
  readonly height: number;
}

/**
 * Reads an image's header. The pixels are not decoded, so a file that is cut off further on passes.
 *
 * @throws DinoError `invalid-request` (no bytes), `unsupported-image` (not a format that is read),
 *   `unprocessable-image` (damaged header) or `payload-too-large` (more than `maxPixels`)
 */
export async function inspectImage(bytes: Uint8Array, limits: ImageLimits): Promise<ImageInfo> {
  const mediaType = detectMediaType(bytes);
  const { width, height } =
    readJpegHeader(bytes)?.size ?? (await explainingFailure(mediaType, limits, () => uprightSize(bytes)));
  if (width * height > limits.maxPixels) {
    throw new DinoError(
      'payload-too-large',
      `The image has ${width} x ${height} pixels, ${megapixels(width * height)} megapixels; ` +
        `at most ${megapixels(limits.maxPixels)} are accepted. Scale it down first.`,
    );
  }
  return { mediaType, width, height };
}

async function uprightSize(bytes: Uint8Array): Promise<Size> {
  // Without a limit here, so that the answer can tell the size; nothing is decoded yet.
  return (await sharp(bytes, { limitInputPixels: false }).metadata()).autoOrient;
}

/**
 * Opens an image for decoding: upright, first frame only, converted to sRGB by its colour profile. Errors
 * come out of {@link explainingFailure}.
 */
export function openImage(bytes: Uint8Array, limits: ImageLimits): Sharp {
  return sharp(bytes, {
    autoOrient: true,
    limitInputPixels: limits.maxPixels,
    limitInputChannels: 5,
    // A photo that libvips finds fault with is refused rather than embedded half grey.
    failOn: 'warning',
  })
    .timeout({ seconds: limits.timeoutSeconds })
    .toColourspace('srgb');
}

/**
 * Runs work on an image of a caller's and turns libvips' complaints into answers.
 *
 * @throws DinoError `payload-too-large` or `unprocessable-image`
 */
export async function explainingFailure<T>(
  mediaType: ImageMediaType,
  limits: ImageLimits,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    // A range error is a mistake of ours, which sharp never makes its own.
    if (cause instanceof DinoError || cause instanceof RangeError) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    if (message.includes('pixel limit')) {
      throw new DinoError(
        'payload-too-large',
        `The image has more than ${megapixels(limits.maxPixels)} megapixels. Scale it down first.`,
        { cause },
      );
    }
    const format = mediaType.slice('image/'.length).toUpperCase();
    if (message.startsWith('timeout')) {
      throw new DinoError(
        'unprocessable-image',
        `The ${format} image took longer than ${limits.timeoutSeconds} s to decode. Scale it down or save it again.`,
        { cause },
      );
    }
    throw new DinoError(
      'unprocessable-image',
      `The ${format} image is damaged or cut off. Check that the whole file was sent, or save it again.`,
      { cause },
    );
  }
}

function megapixels(pixels: number): string {
  return (pixels / 1e6).toLocaleString('en-US', { maximumFractionDigits: 2 });
}
