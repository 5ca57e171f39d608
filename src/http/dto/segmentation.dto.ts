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
  /** Heads of the last block. */
  heads: number;
  grid: PatchGrid;
  /** Size of the image in px, after EXIF orientation. */
  width: number;
  height: number;
  /**
   * `attention[head][row * grid.width + column]`: softmax over all tokens of the CLS token's query in the last
   * block; the CLS token's own share is left out, so a row sums to less than 1. One row where one head was asked for.
   * Numbers, or base64 of float32.
   */
  attention: number[][] | string[];
}

export interface MaskOptions {
  /** Model to use; default: the server's. */
  model?: string;
  /**
   * How masks are made. `attention` (the default): the patches that hold most of the CLS token's attention;
   * `tokencut` (arXiv:2202.11539) and `lost` (arXiv:2109.14279): one object, from the similarity of the patches' keys.
   */
  method?: 'attention' | 'tokencut' | 'lost';
  /**
   * For `attention`: share of the attention mass that a mask holds, 0..1. Default 0.6, as in the DINO paper.
   * @minimum 0
   * @maximum 1
   */
  threshold?: number;
  /**
   * For `tokencut`: cosine above which two patches are alike, -1..1. Default 0.2, as in its paper.
   * @minimum -1
   * @maximum 1
   */
  tau?: number;
  /** For `attention`: one head; `best` (the default): the head whose mask looks most like one object; `union` of all; or `all`, a mask each. */
  head?: number | 'best' | 'union' | 'all';
  /** How masks are written in JSON: COCO run lengths, or a PNG as `data:` URI. Default `rle`. */
  format?: 'rle' | 'png';
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
