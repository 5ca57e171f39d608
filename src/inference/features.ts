/** What a model can be asked for; names as in the ONNX file. */
export const FEATURE_NAMES = ['embedding', 'patch_tokens', 'attention', 'keys'] as const;
export type FeatureName = (typeof FEATURE_NAMES)[number];

/** Made of what the ONNX file computes, on a graph of its own; models of attention between all tokens have it. */
export type AskedFeature = FeatureName | 'rollout';

export interface Grid {
  /** Rows of patches. */
  readonly height: number;
  /** Columns of patches. */
  readonly width: number;
}

/** The features of one image; only those asked for are there. n = grid.height * grid.width patches, row by row. */
export interface Features {
  readonly grid: Grid;
  /** CLS token after the last LayerNorm, [D]; not normalised. */
  readonly embedding?: Float32Array;
  /** [n, D], after the last LayerNorm. */
  readonly patchTokens?: Float32Array;
  /** [heads, n]: last block, CLS query to patches, softmax over all tokens (so a row sums to less than 1). */
  readonly attention?: Float32Array;
  /** [n, D]: key features of the last block. */
  readonly keys?: Float32Array;
  /** [n]: CLS row of attention rollout over all blocks, without its shares of the tokens before the patches. */
  readonly rollout?: Float32Array;
}
