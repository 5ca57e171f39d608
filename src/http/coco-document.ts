import type { CocoDocument, Mask } from './dto/segmentation.dto.js';

export interface CocoSource {
  readonly fileName: string;
  readonly width: number;
  readonly height: number;
  /** With their run lengths. */
  readonly masks: readonly Mask[];
}

/**
 * The masks of images as COCO's annotation file, one category for all. Run lengths and not polygons, since COCO's
 * polygons have no holes.
 * Source: https://cocodataset.org/#format-data
 */
export function cocoDocument(sources: readonly CocoSource[]): CocoDocument {
  const annotated = sources.flatMap(({ masks }, index) => masks.map((mask) => ({ mask, image: index + 1 })));
  return {
    images: sources.map(({ fileName, width, height }, index) => ({
      id: index + 1,
      file_name: fileName,
      width,
      height,
    })),
    annotations: annotated.map(({ mask: { rle, area, bbox, score }, image }, index) => ({
      id: index + 1,
      image_id: image,
      category_id: 1,
      segmentation: rle!,
      area,
      bbox,
      iscrowd: 0,
      score,
    })),
    categories: [{ id: 1, name: 'object', supercategory: 'object' }],
  };
}
