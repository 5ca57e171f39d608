import type { ImageInfo } from '../vision/image-reader.js';

export interface ImageEmbedding {
  /** Unit length. */
  readonly vector: Float32Array;
  readonly info: ImageInfo;
  /** Patches the model looked at. */
  readonly patches: number;
}
