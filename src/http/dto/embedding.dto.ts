import type { ImageReference } from './image.dto.js';
import type { PatchGrid } from './segmentation.dto.js';

export interface EmbeddingOptions {
  /** Model to use; default: the server's. */
  model?: string;
  /** `base64`: little-endian float32. Default `float`. */
  encoding_format?: 'float' | 'base64';
  /**
   * Length of the vector. DINO vectors can't be cut short, so only the model's own length is taken.
   * @isInt
   * @minimum 1
   */
  dimensions?: number;
  /** Taken for compatibility, not used. */
  user?: string;
  /** true: each image's patch tokens beside its embedding, for 8 images at most. Default false. */
  tokens?: boolean;
  /**
   * For `tokens`: longer side in px at which the model looks at the whole image; default: the model's (480).
   * @isInt
   * @minimum 16
   * @maximum 1024
   */
  size?: number;
}

/** The body of OpenAI's embeddings endpoint, with images in place of text. */
export interface EmbeddingRequest extends EmbeddingOptions {
  /** One image or several. */
  input: ImageReference | ImageReference[];
}

/** What the model knows of every patch of the whole image. */
export interface PatchTokens {
  grid: PatchGrid;
  /** Size of the image in px, after EXIF orientation. */
  width: number;
  height: number;
  /** Length of one token. */
  dimension: number;
  /**
   * `values[row * grid.width + column]`: the patch's token after the last LayerNorm, of any length. Numbers, or
   * base64 of all tokens' float32 one after the other.
   */
  values: number[][] | string;
}

export interface EmbeddingItem {
  object: 'embedding';
  /** Place of the image in the request. */
  index: number;
  /** Unit length, so that the dot product of two is their cosine similarity. Numbers, or base64 of float32. */
  embedding: number[] | string;
  /** Where they were asked for. */
  tokens?: PatchTokens;
}

export interface EmbeddingUsage {
  /** Patches the model looked at. */
  prompt_tokens: number;
  /** The same. */
  total_tokens: number;
}

export interface EmbeddingResponse {
  object: 'list';
  /** Name of the model that made them. */
  model: string;
  data: EmbeddingItem[];
  usage: EmbeddingUsage;
}
