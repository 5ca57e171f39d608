import type { Caller } from '../caller.js';
import { fitWithin } from './backdrop.js';
import type { DecodeQueue } from './decode-queue.js';
import { explainingFailure, inspectImage, openImage, type ImageInfo, type ImageLimits } from './decoder.js';
import { readJpegPixels } from './jpeg-pixels.js';
import type { Pixels } from './pixels.js';
import type { PreprocessingMode } from './preprocessing-mode.js';
import type { ResamplePlan, Size } from './resample-plan.js';
import { resample } from './resample.js';

export type { ImageInfo, ImageLimits } from './decoder.js';

/** Pixels ready for a model, and what the file they came from is. */
export interface DecodedImage {
  readonly pixels: Pixels;
  readonly info: ImageInfo;
}

export interface ImageReaderOptions extends ImageLimits {
  /** Whether large JPEGs are decoded whole or at a fraction of their size. */
  readonly preprocessing: PreprocessingMode;
  /** `sharp`: also those JPEGs that need not be, for comparison; default: `rows`, where it is there. */
  readonly jpegsBy?: 'rows' | 'sharp';
  /** What waits for its turn to be decoded; default: nothing waits. */
  readonly queue?: DecodeQueue;
}

/** Reads images of callers: nothing that they declare is trusted, and whatever fails is a `DinoError`. */
export interface ImageReader {
  /** Media type and upright size, from the header alone; a file that is cut off later on passes. */
  inspect(bytes: Uint8Array): Promise<ImageInfo>;
  /**
   * The square a model embeds: shorter side scaled to `resize`, then the central `crop` x `crop`, as
   * torchvision's `Resize(resize, BICUBIC)` and `CenterCrop(crop)` do on a Pillow image; nearly so in mode `fast`.
   */
  forEmbedding(
    bytes: Uint8Array,
    options: { resize: number; crop: number },
    caller?: Caller,
  ): Promise<DecodedImage>;
  /**
   * The whole image for a grid of patches: longer side about `longerSide`, both sides rounded to the nearest
   * multiple of `multipleOf` (at least one), so that the grid covers all of it; small images are enlarged.
   * There are never more than `ceil(longerSide / multipleOf)` patches a side.
   */
  forPatches(
    bytes: Uint8Array,
    options: { longerSide: number; multipleOf: number },
    caller?: Caller,
  ): Promise<DecodedImage>;
  /** A part of the upright image as a PNG; `area` is in whole px and lies within it. */
  crop(bytes: Uint8Array, area: Area, caller?: Caller): Promise<Buffer>;
  /** The whole image at its own size, scaled down in proportion where it has more than `maxPixels`. */
  whole(bytes: Uint8Array, options: { maxPixels: number }, caller?: Caller): Promise<DecodedImage>;
  /** A WebP of at most 256 px on the longer side, never enlarged; transparency is kept, animation is not. */
  thumbnail(bytes: Uint8Array, caller?: Caller): Promise<Buffer>;
}

/** A part of an image in px. */
export interface Area extends Size {
  readonly left: number;
  readonly top: number;
}

const THUMBNAIL_SIDE = 256;

/**
 * Builds the reader of callers' images. All its methods fail with `DinoError`: `invalid-request` (no bytes),
 * `unsupported-image` (not JPEG, PNG, WebP, GIF or AVIF by content), `payload-too-large` (more than
 * `maxPixels`) or `unprocessable-image` (damaged, cut off, or slower to decode than `timeoutSeconds`).
 * EXIF orientation is applied, colours are converted to sRGB, transparency lies on white, and only the first
 * frame of an animation is read. Decoding runs on libuv's threads. An image whose caller has gone before its turn is
 * not decoded: then the reason of the caller's signal is thrown.
 */
export function createImageReader(options: ImageReaderOptions): ImageReader {
  /** Decodes in turn. @param plan knows the header, and returns what to do with the pixels */
  function decode<T>(
    bytes: Uint8Array,
    plan: (info: ImageInfo) => () => Promise<T>,
    caller: Caller | undefined,
  ): Promise<T> {
    const start = async () => {
      const info = await inspectImage(bytes, options);
      return explainingFailure(info.mediaType, options, plan(info));
    };
    return options.queue === undefined ? start() : options.queue.run(start, caller);
  }

  function read(
    bytes: Uint8Array,
    planFor: (source: Size) => ResamplePlan,
    caller: Caller | undefined,
  ): Promise<DecodedImage> {
    const plan = (info: ImageInfo) => {
      const scaling = planFor(info);
      return async () => {
        const byRows =
          options.jpegsBy === 'sharp' ? undefined : await readJpegPixels(bytes, scaling, options);
        const pixels = byRows ?? (await resample(openImage(bytes, options), scaling, options.preprocessing));
        return { pixels, info };
      };
    };
    return decode(bytes, plan, caller);
  }

  return {
    inspect: (bytes) => inspectImage(bytes, options),
    forEmbedding: (bytes, { resize, crop }, caller) =>
      read(bytes, (source) => planEmbedding(source, resize, crop), caller),
    forPatches: (bytes, { longerSide, multipleOf }, caller) =>
      read(bytes, (source) => planPatches(source, longerSide, multipleOf), caller),
    crop(bytes, { left, top, width, height }, caller) {
      const cut = () =>
        openImage(bytes, options)
          .extract({ left, top, width, height })
          .png({ compressionLevel: 1 })
          .toBuffer();
      return decode(bytes, () => cut, caller);
    },
    whole(bytes, { maxPixels }, caller) {
      const planFor = (source: Size) => {
        const target = fitWithin(source, maxPixels);
        return { source, target, window: { left: 0, top: 0, ...target } };
      };
      return read(bytes, planFor, caller);
    },
    thumbnail(bytes, caller) {
      const shrink = () =>
        openImage(bytes, options)
          .resize(THUMBNAIL_SIDE, THUMBNAIL_SIDE, { fit: 'inside', withoutEnlargement: true })
          .webp({ quality: 80 })
          .toBuffer();
      return decode(bytes, () => shrink, caller);
    },
  };
}

/** Sizes and rounding of torchvision: `_compute_resized_output_size` and `center_crop`. */
function planEmbedding(source: Size, resize: number, crop: number): ResamplePlan {
  if (crop > resize) throw new Error(`a crop of ${crop} px does not fit in ${resize} px`);
  const shorter = Math.min(source.width, source.height);
  const scaled = (side: number) => (side === shorter ? resize : Math.floor((resize * side) / shorter));
  const target = { width: scaled(source.width), height: scaled(source.height) };
  const window = {
    left: roundHalfToEven((target.width - crop) / 2),
    top: roundHalfToEven((target.height - crop) / 2),
    width: crop,
    height: crop,
  };
  return { source, target, window };
}

function planPatches(source: Size, longerSide: number, multipleOf: number): ResamplePlan {
  const scale = longerSide / Math.max(source.width, source.height);
  const side = (pixels: number) => Math.max(1, Math.round((pixels * scale) / multipleOf)) * multipleOf;
  const target = { width: side(source.width), height: side(source.height) };
  return { source, target, window: { left: 0, top: 0, ...target } };
}

/** Python's `round`, which torchvision's crop relies on. */
function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
