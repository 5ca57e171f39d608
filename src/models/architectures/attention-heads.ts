import { CheckpointError } from '../checkpoints/checkpoint-error.js';

/** Width of a head in every official model but the largest of DINOv3. */
const HEAD_DIM = 64;

/**
 * The number of attention heads, which no tensor tells.
 *
 * @param options.said by whoever gave the checkpoint, or its configuration
 * @param options.official of the official model of this width
 * @throws CheckpointError when nothing tells it
 */
export function attentionHeads(
  dim: number,
  options: { readonly said?: number; readonly official?: number },
): number {
  const heads = options.said ?? options.official ?? dim / HEAD_DIM;
  if (!Number.isInteger(heads) || heads < 1 || dim % heads !== 0) {
    throw new CheckpointError(
      `the width ${dim} does not tell the number of attention heads: say how many there are`,
    );
  }
  return heads;
}
