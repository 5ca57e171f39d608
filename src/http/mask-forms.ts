import type { FoundMask, MaskPicture, PhotoMasks } from '../segmentation/photo-masks.js';
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
  writer: PhotoMasks,
): Promise<Mask[]> {
  const described: Mask[] = [];
  for (const mask of image.masks) {
    const { score, area, bbox, head, reason } = mask;
    const common = { score, area, bbox: [...bbox], head, reason };
    if (form === 'rle') described.push({ ...common, rle: await writer.runLengths(mask) });
    else if (form === 'polygon') described.push({ ...common, polygon: await writer.outline(mask) });
    else described.push({ ...common, png: dataUri(await writer.picture(image, mask, picture)) });
  }
  return described;
}

function dataUri(png: Uint8Array): string {
  return `data:image/png;base64,${Buffer.from(png).toString('base64')}`;
}
