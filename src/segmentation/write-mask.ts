import type { CellMask } from '../vision/grid-cover.js';
import { paintMask, type MaskPicture } from '../vision/mask-paint.js';
import { outlineOf, type Ring } from './outline.js';
import { maskArea, maskBox, type BoundingBox } from './pixel-mask.js';
import { encodeRle, type CompressedRle } from './rle.js';

/** What is wanted of a mask: plain data, so that it can cross to a worker. */
export type WritingTask =
  | { readonly form: 'measures' | 'rle' | 'polygon'; readonly mask: CellMask }
  | { readonly form: 'picture'; readonly mask: CellMask; readonly picture: MaskPicture };

export interface MaskMeasures {
  /** Pixels. */
  readonly area: number;
  readonly bbox: BoundingBox;
}

export type Written = MaskMeasures | CompressedRle | Ring[] | Uint8Array;

/** A mask in one of its forms. Of a mask of a megapixel each takes 20 to 250 ms without a pause. */
export default function write(task: WritingTask): Written | Promise<Written> {
  const { mask } = task;
  switch (task.form) {
    case 'measures':
      return { area: maskArea(mask), bbox: maskBox(mask) };
    case 'rle':
      return encodeRle(mask);
    case 'polygon':
      return outlineOf(mask);
    case 'picture':
      return paintMask(mask, task.picture);
  }
}
