import type { ImageReference } from './image.dto.js';

export interface PatchGrid {
  /** Rows of patches. */
  height: number;
  /** Columns of patches. */
  width: number;
}

export interface AttentionOptions {
  /** Model to use; default: the server's. */
  model?: string;
  /**
   * Longer side in px at which the model looks at the image; default: the model's (480).
   * @isInt
   * @minimum 16
   * @maximum 1024
   */
  size?: number;
  /** One head, or `all` (the default): for a picture all heads side by side. */
  head?: number | 'all';
  /**
   * One map of attention rollout over all blocks (arXiv:2005.00928), instead of the last block's heads. Default false.
   * Takes no `head`.
   */
  rollout?: boolean;
  /** How the numbers are written; `base64`: little-endian float32, a text per head. Default `float`. */
  encoding_format?: 'float' | 'base64';
  /** For a picture: lay the heat map over the image. Default false. */
  overlay?: boolean;
  /**
   * For an overlay: share of the heat map in the colour, 0..1. Default 0.6.
   * @minimum 0
   * @maximum 1
   */
  opacity?: number;
}

export interface AttentionRequest extends AttentionOptions {
  image: ImageReference;
}

export interface AttentionResponse {
  model: string;
  /** Heads of a block. */
  heads: number;
  grid: PatchGrid;
  /** Size of the image in px, after EXIF orientation. */
  width: number;
  height: number;
  /**
   * `attention[head][row * grid.width + column]`: softmax over all tokens of the CLS token's query in the last
   * block; the CLS token's own share is left out, so a row sums to less than 1. One row where one head was asked for,
   * and for a rollout: the CLS token's row of it. Numbers, or base64 of float32.
   */
  attention: number[][] | string[];
}

export interface MaskOptions {
  /** Model to use; default: the server's. */
  model?: string;
  /**
   * How masks are made. `attention` (the default): the patches that hold most of the CLS token's attention. From the
   * similarity of the patches' keys: `tokencut` (arXiv:2202.11539) and `lost` (arXiv:2109.14279), one object;
   * `maskcut` (arXiv:2301.11320), several objects; `deep-spectral` (arXiv:2205.07839), the parts that the image falls
   * into; `point` and `box` (the default where one is given), the object under a point or in a box.
   */
  method?: 'attention' | 'tokencut' | 'lost' | 'maskcut' | 'deep-spectral' | 'point' | 'box';
  /**
   * For `attention`: share of the attention mass that a mask holds, 0..1. Default 0.6, as in the DINO paper.
   * @minimum 0
   * @maximum 1
   */
  threshold?: number;
  /**
   * For `tokencut` and `maskcut`: cosine above which two patches are alike, -1..1. Default 0.2 and 0.15, as in their
   * papers.
   * @minimum -1
   * @maximum 1
   */
  tau?: number;
  /**
   * For `maskcut` and `deep-spectral`: most masks wanted. Default 3.
   * @isInt
   * @minimum 1
   * @maximum 10
   */
  objects?: number;
  /** For `point`: a place on the object, `x,y` in px of the image from its top left corner. */
  point?: string;
  /** For `box`: where the object is, `x,y,width,height` in px of the image. */
  box?: string;
  /**
   * How the edges of patches become edges of pixels: not at all (`none`, the default), or by the fast bilateral solver
   * (`bilateral`, arXiv:1511.03296), on up to 1 megapixel.
   */
  refine?: 'none' | 'bilateral';
  /** For `attention`: one head; `best` (the default): the head whose mask looks most like one object; `union` of all; or `all`, a mask each. */
  head?: number | 'best' | 'union' | 'all';
  /**
   * How masks are written in JSON: COCO run lengths (`rle`, the default), rings of corners (`polygon`), or a PNG as
   * `data:` URI (`png`). With `coco` the whole answer is a COCO annotation file.
   */
  format?: 'rle' | 'polygon' | 'png' | 'coco';
  /** With `Accept: image/png`: `mask` (black and white, the default), `overlay` or `cutout`. */
  picture?: 'mask' | 'overlay' | 'cutout';
  /**
   * Longer side in px at which the model looks at the image; default: the model's (480).
   * @isInt
   * @minimum 16
   * @maximum 1024
   */
  size?: number;
}

export interface MaskRequest extends MaskOptions {
  image: ImageReference;
}

/** COCO's compressed run-length encoding. */
export interface RunLengthMask {
  /** [height, width] in px. */
  size: number[];
  counts: string;
}

export interface Mask {
  /** How much the mask looks like one object, 0..1. */
  score: number;
  /** Pixels. */
  area: number;
  /** [x, y, width, height] in px. */
  bbox: number[];
  /** The head it is from; null for a union and for methods on keys. */
  head: number | null;
  /** Why this one. */
  reason: string;
  rle?: RunLengthMask;
  /**
   * Rings `[x1, y1, x2, y2, ...]` in px, the exact outline of the pixels: outer rings clockwise, holes
   * counter-clockwise and after the ring around them.
   */
  polygon?: number[][];
  /** `data:image/png;base64,...`, white on black. */
  png?: string;
}

export interface MaskResponse {
  model: string;
  method: string;
  /** Size of the image and its masks in px, after EXIF orientation. */
  width: number;
  height: number;
  /** Best first; none where nothing was found. */
  masks: Mask[];
}

export interface CocoImage {
  id: number;
  /** The name of the file or the id of the stored image, where there is one. */
  file_name: string;
  width: number;
  height: number;
}

export interface CocoAnnotation {
  id: number;
  image_id: number;
  category_id: number;
  segmentation: RunLengthMask;
  /** Pixels. */
  area: number;
  /** [x, y, width, height] in px. */
  bbox: number[];
  iscrowd: number;
  /** How much the mask looks like one object, 0..1. */
  score: number;
}

export interface CocoCategory {
  id: number;
  name: string;
  supercategory: string;
}

/** COCO's annotation file, of one category, as labelling tools import it. */
export interface CocoDocument {
  images: CocoImage[];
  annotations: CocoAnnotation[];
  categories: CocoCategory[];
}
