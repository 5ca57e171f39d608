import type { CocoDocument, Mask } from './dto/segmentation.dto.js';

export interface CocoSource {
  readonly fileName: string;
  readonly width: number;
  readonly height: number;
  /** With their run lengths. */
  readonly masks: readonly Mask[];
}

/**
 * The masks of one image as COCO's annotation file, one category for all. Run lengths and not polygons, since COCO's
 * polygons have no holes.
 * Source: https://cocodataset.org/#format-data
 */
export function cocoDocument({ fileName, width, height, masks }: CocoSource): CocoDocument {
  return {
    images: [{ id: 1, file_name: fileName, width, height }],
    annotations: masks.map(({ rle, area, bbox, score }, index) => ({
      id: index + 1,
      image_id: 1,
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
