import { createRequire } from 'node:module';
// The addon decodes with the library that sharp brings along, so that must be loaded first.
import 'sharp';
import type { ImageLimits } from './decoder.js';
import { readJpegHeader } from './jpeg-header.js';
import type { Pixels } from './pixels.js';
import type { PreprocessingMode } from './preprocessing-mode.js';
import { shrinkOnLoad, type ResamplePlan } from './resample-plan.js';

/** What a processor can run: `baseline` runs everywhere, and all give the same pixels. */
export type Instructions = 'avx2' | 'baseline';

interface Addon {
  /** Whether a libvips was found in this process, on Linux or macOS. */
  isAvailable(): boolean;
  /** What this processor supports, the fastest first. */
  supportedInstructions(): Instructions[];
  /**
   * Fills `pixels`, on a thread of libuv's. Neither array may be changed until then.
   *
   * @returns `decoded by libvips`: which is for those that are not plain; `refused`: no sound JPEG of this plan; `late`: not
   *   done within `timeoutMs`
   */
  decodeJpeg(
    jpeg: Uint8Array,
    pixels: Uint8Array,
    plan: Readonly<Record<string, number>>,
    instructions: Instructions,
  ): Promise<'decoded' | 'decoded by libvips' | 'refused' | 'late'>;
}

/** The addon that `npm run build:native` compiles from `native/`. */
const addon = createRequire(import.meta.url)('./jpeg-decoder.node') as Addon;

/** Longest side in px that the addon scales to. */
const MAX_TARGET = 2 ** 24;

/** Whether JPEGs are decoded here; otherwise everything is left to sharp. */
export const DECODES_JPEGS = addon.isAvailable();

export const JPEG_INSTRUCTIONS = addon.supportedInstructions();

export interface JpegOptions extends ImageLimits {
  readonly preprocessing: PreprocessingMode;
  /** Default: the fastest. */
  readonly instructions?: Instructions;
}

/**
 * Decodes and scales a JPEG in one pass, row by row: the same pixels that sharp decodes, scaled to those of Pillow's
 * `resize(BICUBIC)` to the last bit. In mode `fast` they are those of Pillow's `draft` and `resize`, where the part of its
 * size at which it is decoded comes out even.
 *
 * @returns undefined for everything but a sound JPEG in sRGB or grey of 8 bits without a colour profile, whose size is
 *   `plan.source`
 * @throws Error that begins with `timeout`
 */
export async function readJpegPixels(
  bytes: Uint8Array,
  plan: ResamplePlan,
  options: JpegOptions,
): Promise<Pixels | undefined> {
  if (!DECODES_JPEGS) return undefined;
  const header = readJpegHeader(bytes);
  if (header === undefined) return undefined;
  const { source, target, window } = plan;
  // A strip of one pixel's height, enlarged.
  if (Math.max(target.width, target.height) > MAX_TARGET) return undefined;
  if (header.size.width !== source.width || header.size.height !== source.height) return undefined;
  const data = new Uint8Array(window.width * window.height * 3);
  const outcome = await addon.decodeJpeg(
    bytes,
    data,
    {
      width: source.width,
      height: source.height,
      orientation: header.orientation,
      shrink: shrinkOnLoad(plan, options.preprocessing),
      targetWidth: target.width,
      targetHeight: target.height,
      left: window.left,
      top: window.top,
      windowWidth: window.width,
      windowHeight: window.height,
      timeoutMs: options.timeoutSeconds * 1000,
    },
    options.instructions ?? JPEG_INSTRUCTIONS[0]!,
  );
  if (outcome === 'late') throw new Error('timeout');
  return outcome === 'refused' ? undefined : { data, width: window.width, height: window.height };
}
