import type { Metadata } from '../../collections/filter.js';

export interface VectorItem {
  /** 1 to 512 characters; what is stored under it is replaced. */
  id: string;
  /** As long as the collection's dimension, of any length but zero: numbers, or base64 of little-endian float32. */
  vector: number[] | string;
  /** Flat: texts, numbers, booleans, lists of texts or of numbers. */
  metadata?: Metadata;
}

export interface VectorsRequest {
  /**
   * @minItems 1
   * @maxItems 1024
   */
  vectors: VectorItem[];
}
