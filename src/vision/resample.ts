import sharp, { type Sharp } from 'sharp';
import type { Pixels } from './pixels.js';
import type { PreprocessingMode } from './preprocessing-mode.js';
import { shrinkOnLoad, type ResamplePlan, type Size } from './resample-plan.js';

/** One direction of a {@link ResamplePlan}. */
interface Axis {
  readonly isEnlarged: boolean;
  /** Source pixels taken before scaling. */
  readonly from: number;
  readonly taken: number;
  /** Length after the first pass. */
  readonly scaled: number;
  /** Copies of the outermost pixels added before and after, for the kernel to stand on. */
  readonly padBefore: number;
  readonly padAfter: number;
  /** Target pixels per source pixel in the second pass (1 when nothing is enlarged). */
  readonly scale: number;
  /** Where the second pass' first pixel lies in the target. */
  readonly origin: number;
  /** Part of a pixel by which the second pass is shifted, 0 to 1. */
  readonly shift: number;
}

/** Pixels on either side that a cubic kernel reaches for. */
const KERNEL_REACH = 2;

/**
 * Scales a picture with the Catmull-Rom cubic (a = -0.5) and the centre convention, as Pillow's
 * `resize(BICUBIC)` does: the kernel is widened when the picture shrinks. An alpha channel is flattened on
 * white.
 *
 * Shrinking is libvips' own resize. Enlarging is not: there libvips 8 places the picture half a target pixel too
 * far right and down (https://github.com/libvips/libvips/issues/943), which shows in the features of small
 * images; so the second pass is an affine transform with the displacement spelt out.
 *
 * @param picture an open image whose size, upright, is `plan.source`
 * @param mode `fast` differs from `exact` where a JPEG has at least four times the width and height of the target
 * @returns RGB pixels of the window's size in a buffer of their own
 */
export async function resample(picture: Sharp, plan: ResamplePlan, mode: PreprocessingMode): Promise<Pixels> {
  const { source, target, window } = plan;
  if (shrinkOnLoad(plan, mode) > 1) return resampleShrunk(picture, plan);
  const across = planAxis(source.width, target.width, window.left, window.width);
  const down = planAxis(source.height, target.height, window.top, window.height);
  const first = picture
    .flatten({ background: '#ffffff' })
    .extract({ left: across.from, top: down.from, width: across.taken, height: down.taken })
    .resize(across.scaled, down.scaled, { fit: 'fill', kernel: 'cubic', fastShrinkOnLoad: false })
    .extract({
      left: across.isEnlarged ? 0 : window.left,
      top: down.isEnlarged ? 0 : window.top,
      width: across.isEnlarged ? across.scaled : window.width,
      height: down.isEnlarged ? down.scaled : window.height,
    });
  if (!across.isEnlarged && !down.isEnlarged) {
    const data = await first.raw({ depth: 'uchar' }).toBuffer();
    return cropRows({ data, width: window.width, height: window.height }, { ...window, left: 0, top: 0 });
  }
  const padded = await first
    .extend({
      left: across.padBefore,
      right: across.padAfter,
      top: down.padBefore,
      bottom: down.padAfter,
      extendWith: 'copy',
    })
    .raw({ depth: 'uchar' })
    .toBuffer();
  const width = across.padBefore + (across.isEnlarged ? across.scaled : window.width) + across.padAfter;
  const height = down.padBefore + (down.isEnlarged ? down.scaled : window.height) + down.padAfter;
  const { data, info } = await sharp(padded, { raw: { width, height, channels: 3 } })
    .affine([across.scale, 0, 0, down.scale], {
      idx: 0.5,
      idy: 0.5,
      odx: across.shift - 0.5,
      ody: down.shift - 0.5,
      interpolator: 'bicubic',
    })
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  return cropRows(
    { data, width: info.width, height: info.height },
    {
      left: across.isEnlarged ? window.left - across.origin : 0,
      top: down.isEnlarged ? window.top - down.origin : 0,
      width: window.width,
      height: window.height,
    },
  );
}

/**
 * libvips decodes a JPEG at 1/2, 1/4 or 1/8, as long as at least half of the way is left for the cubic kernel, and
 * turns a picture upright after scaling. Either is off as soon as sharp is told to cut, so the window is cut here.
 */
async function resampleShrunk(picture: Sharp, { target, window }: ResamplePlan): Promise<Pixels> {
  const data = await picture
    .flatten({ background: '#ffffff' })
    .resize(target.width, target.height, { fit: 'fill', kernel: 'cubic', fastShrinkOnLoad: false })
    .raw({ depth: 'uchar' })
    .toBuffer();
  return cropRows({ data, ...target }, window);
}

function planAxis(source: number, target: number, windowStart: number, windowLength: number): Axis {
  if (target <= source) {
    const untouched = { padBefore: 0, padAfter: 0, scale: 1, origin: 0, shift: 0 };
    return { isEnlarged: false, from: 0, taken: source, scaled: target, ...untouched };
  }
  // Only what the window needs is enlarged: a strip of 1 x 1,000,000 pixels would become gigantic otherwise.
  const scale = target / source;
  const firstNeeded = Math.floor(windowStart / scale) - KERNEL_REACH;
  const lastNeeded = Math.ceil((windowStart + windowLength) / scale) + KERNEL_REACH;
  const from = Math.max(0, firstNeeded);
  const end = Math.min(source, lastNeeded);
  const start = firstNeeded * scale;
  return {
    isEnlarged: true,
    from,
    taken: end - from,
    scaled: end - from,
    padBefore: from - firstNeeded,
    padAfter: lastNeeded - end,
    scale,
    origin: Math.floor(start),
    shift: start - Math.floor(start),
  };
}

/** RGB, 8 bits a channel. */
interface RawPicture extends Size {
  readonly data: Buffer;
}

/** Copies a window row by row; the copy owns its memory, so that it can be handed to another thread. */
function cropRows({ data, width, height }: RawPicture, window: ResamplePlan['window']): Pixels {
  const isInside = window.left + window.width <= width && window.top + window.height <= height;
  if (data.length !== width * height * 3 || !isInside) {
    throw new RangeError(
      `no window of ${window.width} x ${window.height} px at (${window.left}, ${window.top}) ` +
        `in ${data.length} bytes of a picture of ${width} x ${height} px`,
    );
  }
  const rowLength = window.width * 3;
  const copy = new Uint8Array(rowLength * window.height);
  for (let row = 0; row < window.height; row++) {
    const start = ((window.top + row) * width + window.left) * 3;
    copy.set(data.subarray(start, start + rowLength), row * rowLength);
  }
  return { data: copy, width: window.width, height: window.height };
}
