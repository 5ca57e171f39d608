import type { ImageReference } from './image.dto.js';

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
}

/** The body of OpenAI's embeddings endpoint, with images in place of text. */
export interface EmbeddingRequest extends EmbeddingOptions {
  /** One image or several. */
  input: ImageReference | ImageReference[];
}

export interface EmbeddingItem {
  object: 'embedding';
  /** Place of the image in the request. */
  index: number;
  /** Unit length, so that the dot product of two is their cosine similarity. Numbers, or base64 of float32. */
  embedding: number[] | string;
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
