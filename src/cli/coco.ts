import type { FoundMasks, Mask } from '../client/resources.js';

interface CocoImage {
  readonly id: number;
  readonly file_name: string;
  readonly width: number;
  readonly height: number;
}

interface CocoAnnotation {
  readonly id: number;
  readonly image_id: number;
  readonly category_id: number;
  /** Compressed run lengths; `size` is [height, width]. */
  readonly segmentation: NonNullable<Mask['rle']>;
  readonly area: number;
  readonly bbox: readonly number[];
  readonly iscrowd: 0;
  readonly score: number;
}

/** Masks in the form of COCO's annotation files, one category for all. */
export class CocoDataset {
  readonly #images: CocoImage[] = [];
  readonly #annotations: CocoAnnotation[] = [];

  add(fileName: string, { width, height, masks }: Pick<FoundMasks, 'width' | 'height' | 'masks'>): void {
    const image = { id: this.#images.length + 1, file_name: fileName, width, height };
    this.#images.push(image);
    for (const { rle, area, bbox, score } of masks) {
      this.#annotations.push({
        id: this.#annotations.length + 1,
        image_id: image.id,
        category_id: 1,
        segmentation: rle!,
        area,
        bbox,
        iscrowd: 0,
        score,
      });
    }
  }

  toJSON(): object {
    return {
      images: this.#images,
      annotations: this.#annotations,
      categories: [{ id: 1, name: 'object', supercategory: 'object' }],
    };
  }
}
