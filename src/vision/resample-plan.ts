import type { PreprocessingMode } from './preprocessing-mode.js';

/** Where a picture goes: it is scaled to `width` x `height`, and `window` is what is kept of that. */
export interface ResamplePlan {
  readonly source: Size;
  readonly target: Size;
  /** Part of the target that is kept, in target pixels. */
  readonly window: {
    readonly left: number;
    readonly top: number;
    readonly width: number;
    readonly height: number;
  };
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Shares of its size at which a JPEG can be decoded, with less work: one over these. */
const SHRINKS = [8, 4, 2] as const;

/**
 * At which part of its size a JPEG is decoded: in mode `fast` the smallest that leaves at least half of the way to the
 * cubic kernel. sharp decides the same with `fastShrinkOnLoad` off.
 *
 * @returns what width and height are divided by; 1: decoded whole
 */
export function shrinkOnLoad({ source, target }: ResamplePlan, mode: PreprocessingMode): 1 | 2 | 4 | 8 {
  if (mode === 'exact') return 1;
  const scale = Math.min(source.width / target.width, source.height / target.height);
  return SHRINKS.find((shrink) => scale >= 2 * shrink) ?? 1;
}
