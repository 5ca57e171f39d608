import type { StateDict } from '../checkpoints/tensor.js';
import type { BlockOptions } from './shared-block.js';
import { tensorOf } from './shared-tensors.js';

/** What the blocks of a vision transformer are made of, as far as their tensors tell. */
export interface BlockShape {
  readonly dim: number;
  readonly mlp: NonNullable<BlockOptions['mlp']>;
  /** Width inside the feed-forward layer, per input of the gate where it is gated. */
  readonly mlpDim: number;
  readonly layerScale: boolean;
  readonly qkvBias: boolean;
}

/** Reads from the first block's tensors what all blocks are made of. */
export function readBlockShape(state: StateDict, dim: number): BlockShape {
  const rows = (name: string) => tensorOf(state, name).shape[0] ?? 0;
  const common = {
    dim,
    layerScale: state.has('blocks.0.ls1.gamma'),
    qkvBias: state.has('blocks.0.attn.qkv.bias'),
  };
  if (state.has('blocks.0.mlp.w12.weight')) {
    return { ...common, mlp: 'swiglu-joined', mlpDim: rows('blocks.0.mlp.w12.weight') / 2 };
  }
  if (state.has('blocks.0.mlp.w1.weight')) {
    return { ...common, mlp: 'swiglu', mlpDim: rows('blocks.0.mlp.w1.weight') };
  }
  return { ...common, mlp: 'gelu', mlpDim: rows('blocks.0.mlp.fc1.weight') };
}

/** Name and shape of every tensor of the blocks and of the patches' projection. */
export function transformerShapes(
  { dim, mlp, mlpDim, layerScale, qkvBias }: BlockShape,
  options: { readonly depth: number; readonly patchSize: number },
): Map<string, readonly number[]> {
  const { depth, patchSize } = options;
  const shapes = new Map<string, readonly number[]>();
  const vector = (...names: string[]) => names.forEach((name) => shapes.set(name, [dim]));
  const linear = (name: string, outputs: number, inputs: number) =>
    shapes.set(`${name}.weight`, [outputs, inputs]).set(`${name}.bias`, [outputs]);
  shapes.set('patch_embed.proj.weight', [dim, 3, patchSize, patchSize]);
  vector('patch_embed.proj.bias', 'norm.weight', 'norm.bias');
  for (let index = 0; index < depth; index++) {
    const block = `blocks.${index}`;
    vector(`${block}.norm1.weight`, `${block}.norm1.bias`, `${block}.norm2.weight`, `${block}.norm2.bias`);
    if (layerScale) vector(`${block}.ls1.gamma`, `${block}.ls2.gamma`);
    linear(`${block}.attn.qkv`, 3 * dim, dim);
    if (!qkvBias) shapes.delete(`${block}.attn.qkv.bias`);
    linear(`${block}.attn.proj`, dim, dim);
    if (mlp === 'gelu') {
      linear(`${block}.mlp.fc1`, mlpDim, dim);
      linear(`${block}.mlp.fc2`, dim, mlpDim);
    } else {
      if (mlp === 'swiglu-joined') linear(`${block}.mlp.w12`, 2 * mlpDim, dim);
      else ['w1', 'w2'].forEach((layer) => linear(`${block}.mlp.${layer}`, mlpDim, dim));
      linear(`${block}.mlp.w3`, dim, mlpDim);
    }
  }
  return shapes;
}
