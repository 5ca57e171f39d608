import type { CompressedRle } from '../segmentation/rle.js';
import type { CocoDocument } from './dto/segmentation.dto.js';

export interface CocoSource {
  readonly fileName: string;
  readonly width: number;
  readonly height: number;
  readonly masks: readonly {
    readonly rle: CompressedRle;
    readonly area: number;
    readonly bbox: readonly number[];
    readonly score: number;
  }[];
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
      segmentation: { size: [...rle.size], counts: rle.counts },
      area,
      bbox: [...bbox],
      iscrowd: 0,
      score,
    })),
    categories: [{ id: 1, name: 'object', supercategory: 'object' }],
  };
}
