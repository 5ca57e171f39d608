import type { ImageReference } from './image.dto.js';
import type { Mask } from './segmentation.dto.js';

export interface CosegmentationOptions {
  /** Model to use; default: the server's. */
  model?: string;
  /**
   * Longer side in px at which the model looks at the images; default: the model's (480).
   * @isInt
   * @minimum 16
   * @maximum 1024
   */
  size?: number;
  /**
   * The patches fall into one cluster more as long as that brings their mean squared distance below this share of what
   * it was, 0..1. Default 0.975, as in the paper's code.
   * @minimum 0
   * @maximum 1
   */
  elbow?: number;
  /**
   * A cluster is salient in an image where its patches' mean saliency (attention, from 0 to 1 in each image) is above
   * this, 0..1. Default 0.065, as in the paper's code.
   * @minimum 0
   * @maximum 1
   */
  saliency?: number;
  /**
   * Share of the images in which a cluster has to be salient to be common, 0..1. Default 0.75, as in the paper's code.
   * @minimum 0
   * @maximum 1
   */
  votes?: number;
  /**
   * Most clusters. Default 14, as in the paper's code.
   * @isInt
   * @minimum 2
   * @maximum 14
   */
  clusters?: number;
  /**
   * How the edges of patches become edges of pixels: not at all (`none`, the default), or by the fast bilateral solver
   * (`bilateral`, arXiv:1511.03296), on up to 1 megapixel.
   */
  refine?: 'none' | 'bilateral';
  /**
   * How masks are written: COCO run lengths (`rle`, the default), rings of corners (`polygon`), or a PNG as `data:` URI
   * (`png`). With `coco` the whole answer is a COCO annotation file.
   */
  format?: 'rle' | 'polygon' | 'png' | 'coco';
  /** What a `png` shows: `mask` (white on black, the default), `overlay` or `cutout`. */
  picture?: 'mask' | 'overlay' | 'cutout';
}

export interface CosegmentationRequest extends CosegmentationOptions {
  /**
   * The images.
   * @minItems 2
   * @maxItems 16
   */
  images: ImageReference[];
}

export interface CosegmentedImage {
  /** Size of the image and its masks in px, after EXIF orientation. */
  width: number;
  height: number;
  /**
   * One mask, of all that the images have in common; none where nothing of it is in this image. Its score is the share
   * of the image's saliency that it holds.
   */
  masks: Mask[];
}

export interface CosegmentationResponse {
  model: string;
  /** Clusters that the patches of all images fall into. */
  clusters: number;
  /** In the order of the request. */
  images: CosegmentedImage[];
}
