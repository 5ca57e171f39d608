import type { ImageReference } from './image.dto.js';
import type { PatchGrid } from './segmentation.dto.js';

interface MatchParameters {
  /**
   * Longer side in px at which the model looks at the images; default: the model's (480).
   * @isInt
   * @minimum 16
   * @maximum 1024
   */
  size?: number;
  /**
   * What of the patches is compared: their keys in the last block (for correspondences the default), or their tokens
   * after the last LayerNorm (to explain the default).
   */
  features?: 'keys' | 'patch_tokens';
  /**
   * true: compare each patch together with its surroundings, as log-bins (arXiv:2112.05814); at most 2304 patches an
   * image. Default false.
   */
  binned?: boolean;
}

export interface CorrespondenceOptions extends MatchParameters {
  /** Model to use; default: the server's. */
  model?: string;
  /**
   * Pairs wanted at most. Default 50.
   * @isInt
   * @minimum 1
   * @maximum 4096
   */
  maxPairs?: number;
  /**
   * Cosine below which a pair is left out, -1..1. Default -1.
   * @minimum -1
   * @maximum 1
   */
  minScore?: number;
}

export interface CorrespondenceRequest extends CorrespondenceOptions {
  /**
   * The two images.
   * @minItems 2
   * @maxItems 2
   */
  images: ImageReference[];
}

/** An image and how the model looked at it. */
export interface LookedAtImage {
  /** Size in px, after EXIF orientation. */
  width: number;
  height: number;
  grid: PatchGrid;
}

/** The middle of a patch, in px of the image from its upper left corner. */
export interface PixelPoint {
  x: number;
  y: number;
}

/** Two patches that are each other's most similar one. */
export interface Correspondence {
  /** Cosine similarity, -1..1. */
  score: number;
  /** In the first image. */
  first: PixelPoint;
  /** In the second image. */
  second: PixelPoint;
}

export interface CorrespondenceResponse {
  model: string;
  /** In the order of the request. */
  images: LookedAtImage[];
  /** Best score first. */
  pairs: Correspondence[];
}

export interface ExplainOptions extends MatchParameters {
  /**
   * For a picture: share of the heat map in the colour, 0..1. Default 0.6.
   * @minimum 0
   * @maximum 1
   */
  opacity?: number;
}

export interface ExplainRequest extends ExplainOptions {
  /** The query that found the image. */
  image: ImageReference;
}

export interface ExplainedImage extends LookedAtImage {
  /**
   * `agreement[row * grid.width + column]`: cosine of the patch and the patch of the other image that is most like
   * it, -1..1.
   */
  agreement: number[];
}

export interface ExplainResponse {
  /** The collection's. */
  model: string;
  query: ExplainedImage;
  /** The stored image. */
  hit: ExplainedImage;
}
