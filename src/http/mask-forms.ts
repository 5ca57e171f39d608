import { setImmediate } from 'node:timers/promises';
import { outlineOf } from '../segmentation/outline.js';
import { maskPicture, type FoundMask, type MaskPicture } from '../segmentation/photo-masks.js';
import { encodeRle } from '../segmentation/rle.js';
import type { ImageInfo } from '../vision/image-reader.js';
import type { Mask } from './dto/segmentation.dto.js';

export interface MaskForm {
  readonly form: 'rle' | 'polygon' | 'png';
  /** What a `png` shows. */
  readonly picture: MaskPicture;
}

/** An image's masks as they are answered. */
export async function describeMasks(
  image: { readonly bytes: Uint8Array; readonly info: ImageInfo; readonly masks: readonly FoundMask[] },
  { form, picture }: MaskForm,
): Promise<Mask[]> {
  const described: Mask[] = [];
  for (const mask of image.masks) {
    const { score, area, bbox, head, reason } = mask;
    const common = { score, area, bbox: [...bbox], head, reason };
    if (form === 'rle') described.push({ ...common, rle: encodeRle(mask) });
    else if (form === 'polygon') described.push({ ...common, polygon: outlineOf(mask) });
    else described.push({ ...common, png: dataUri(await maskPicture(image, mask, picture)) });
    // Others have their turn between two masks.
    await setImmediate();
  }
  return described;
}

function dataUri(png: Uint8Array): string {
  return `data:image/png;base64,${Buffer.from(png).toString('base64')}`;
}
