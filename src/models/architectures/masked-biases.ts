import { CheckpointError } from '../checkpoints/checkpoint-error.js';
import type { LazyTensor, StateDict } from '../checkpoints/tensor.js';

const MASK = /^(.*\.attn\.qkv)\.bias_mask$/;

/**
 * Multiplies the biases of DINOv3's qkv projections by the masks stored beside them, which take the keys' biases away, and
 * leaves the masks out (https://github.com/facebookresearch/dinov3/blob/main/dinov3/layers/attention.py).
 *
 * @throws CheckpointError when a mask has another shape than its bias
 */
export function withMaskedBiases(state: StateDict): StateDict {
  const result = new Map(state);
  for (const [name, mask] of state) {
    const layer = MASK.exec(name)?.[1];
    if (layer === undefined) continue;
    const bias = state.get(`${layer}.bias`);
    if (bias?.shape.join() !== mask.shape.join()) {
      throw new CheckpointError(
        `${name} is [${mask.shape.join(', ')}] and ${layer}.bias is ${bias ? `[${bias.shape.join(', ')}]` : 'not there'}: use a complete checkpoint`,
      );
    }
    result.delete(name);
    result.set(`${layer}.bias`, maskedBias(name, bias, mask));
  }
  return result;
}

function maskedBias(name: string, bias: LazyTensor, mask: LazyTensor): LazyTensor {
  return {
    dtype: bias.dtype,
    shape: bias.shape,
    async load() {
      const [values, factors] = await Promise.all([bias.load(), mask.load()]);
      return values.map((value, index) => {
        const factor = factors[index]!;
        // A mask that nobody filled is NaN all over, and so would be everything that the model gives.
        if (Number.isNaN(factor)) {
          throw new CheckpointError(
            `${name} holds no numbers: the checkpoint was saved before its network was initialised`,
          );
        }
        return factor === 0 ? 0 : value * factor;
      });
    },
  };
}
