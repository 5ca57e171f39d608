import { FEATURE_NAMES } from '../../inference/features.js';
import { CheckpointError } from '../checkpoints/checkpoint-error.js';
import type { StateDict } from '../checkpoints/tensor.js';
import type { GraphBuilder } from '../onnx/graph-builder.js';
import type { Architecture, ArchitectureHints } from './architecture.js';
import { perImage, tokenFeatures, transformerBlock } from './shared-block.js';
import { normalisedPixels, patchGrid, projectedPatches } from './shared-pixels.js';
import { interpolatedPositions, splitPositions } from './shared-positions.js';
import { checkTensors, countBlocks, tensorOf } from './shared-tensors.js';

/** Width, depth and heads by the authors' names (https://github.com/facebookresearch/dino/blob/main/vision_transformer.py). */
const VARIANTS = new Map([
  ['vit_tiny', { dim: 192, depth: 12, heads: 3 }],
  ['vit_small', { dim: 384, depth: 12, heads: 6 }],
  ['vit_base', { dim: 768, depth: 12, heads: 12 }],
]);
/** Width of a head in every official model: tells the heads of a width that nobody named. */
const HEAD_DIM = 64;
const LAYER_NORM_EPSILON = 1e-6;
/** Keeps the authors' interpolation from rounding down to a patch less (https://github.com/facebookresearch/dino/issues/8). */
const POSITION_OFFSET = 0.1;

interface VitShape {
  readonly dim: number;
  readonly depth: number;
  readonly heads: number;
  readonly patchSize: number;
  /** Side of the stored grid of positions. */
  readonly grid: number;
  readonly mlpDim: number;
}

/**
 * Recognises a vision transformer of DINO v1 by its tensors' names.
 *
 * @returns undefined when it is another family
 * @throws CheckpointError when a tensor is missing, surplus or of a wrong shape, or a hint contradicts the tensors
 */
export function recogniseVit(state: StateDict, hints: ArchitectureHints): Architecture | undefined {
  if (!isVit(state)) return undefined;
  const shape = readShape(state, hints);
  const variant = variantOf(shape);
  const what = `${variant}/${shape.patchSize}`;
  checkTensors(state, { what, shapes: expectedShapes(shape), ignored: ['mask_token'] });
  if (hints.arch !== undefined && hints.arch !== variant && VARIANTS.has(hints.arch)) {
    throw new CheckpointError(
      `the tensors are those of ${what}, not of ${hints.arch}: leave the architecture out`,
    );
  }
  if (hints.patchSize !== undefined && hints.patchSize !== shape.patchSize) {
    throw new CheckpointError(
      `the tensors are those of ${what}, not of patch size ${hints.patchSize}: leave it out`,
    );
  }
  return {
    family: 'vit',
    variant,
    patchSize: shape.patchSize,
    multipleOf: shape.patchSize,
    embedDim: shape.dim,
    depth: shape.depth,
    heads: shape.heads,
    outputs: FEATURE_NAMES,
    build: (graph) => buildVit(graph, state, shape),
  };
}

/** Whether these are a plain ViT's names: no registers, no layer scale, no gated MLP, no rotary positions. */
function isVit(state: StateDict): boolean {
  const needed = [
    'cls_token',
    'pos_embed',
    'patch_embed.proj.weight',
    'blocks.0.attn.qkv.weight',
    'blocks.0.mlp.fc1.weight',
  ];
  const foreign = ['register_tokens', 'storage_tokens', 'blocks.0.ls1.gamma'];
  return needed.every((name) => state.has(name)) && !foreign.some((name) => state.has(name));
}

function readShape(state: StateDict, hints: ArchitectureHints): VitShape {
  const [dim, , patchSize] = tensorOf(state, 'patch_embed.proj.weight').shape as [number, number, number];
  const positions = tensorOf(state, 'pos_embed').shape;
  const grid = Math.sqrt((positions[1] ?? 0) - 1);
  if (!Number.isInteger(grid) || grid < 1 || positions.length !== 3) {
    throw new CheckpointError(
      `pos_embed is [${positions.join(', ')}], which is not a square grid of patches and one more: the checkpoint is damaged or of another network`,
    );
  }
  const depth = countBlocks(state, 'blocks');
  const [mlpDim] = tensorOf(state, 'blocks.0.mlp.fc1.weight').shape as [number];
  const named = [...VARIANTS.values()].find((variant) => variant.dim === dim);
  const heads = hints.heads ?? named?.heads ?? dim / HEAD_DIM;
  if (!Number.isInteger(heads) || heads < 1 || dim % heads !== 0) {
    throw new CheckpointError(
      `the width ${dim} does not tell the number of attention heads: say how many there are`,
    );
  }
  return { dim, depth, heads, patchSize, grid, mlpDim };
}

function variantOf({ dim, depth, heads }: VitShape): string {
  for (const [name, variant] of VARIANTS) {
    if (variant.dim === dim && variant.depth === depth && variant.heads === heads) return name;
  }
  return `vit_d${dim}_l${depth}_h${heads}`;
}

function expectedShapes({ dim, depth, patchSize, grid, mlpDim }: VitShape): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>([
    ['cls_token', [1, 1, dim]],
    ['pos_embed', [1, grid * grid + 1, dim]],
    ['patch_embed.proj.weight', [dim, 3, patchSize, patchSize]],
    ['patch_embed.proj.bias', [dim]],
    ['norm.weight', [dim]],
    ['norm.bias', [dim]],
  ]);
  const linear = (name: string, outputs: number, inputs: number) =>
    shapes.set(`${name}.weight`, [outputs, inputs]).set(`${name}.bias`, [outputs]);
  for (let index = 0; index < depth; index++) {
    for (const norm of ['norm1', 'norm2']) {
      shapes.set(`blocks.${index}.${norm}.weight`, [dim]).set(`blocks.${index}.${norm}.bias`, [dim]);
    }
    linear(`blocks.${index}.attn.qkv`, 3 * dim, dim);
    linear(`blocks.${index}.attn.proj`, dim, dim);
    linear(`blocks.${index}.mlp.fc1`, mlpDim, dim);
    linear(`blocks.${index}.mlp.fc2`, dim, mlpDim);
  }
  return shapes;
}

function buildVit(g: GraphBuilder, state: StateDict, shape: VitShape): void {
  const { dim, depth, heads, patchSize } = shape;
  const pixels = normalisedPixels(g);
  const grid = patchGrid(g, patchSize);
  const projected = projectedPatches(g, {
    grid,
    pixels,
    weight: tensorOf(state, 'patch_embed.proj.weight'),
    bias: tensorOf(state, 'patch_embed.proj.bias'),
  });
  const stored = splitPositions(tensorOf(state, 'pos_embed'));
  const positions = interpolatedPositions(g, {
    grid,
    patches: stored.patches,
    resampling: { offset: POSITION_OFFSET, antialias: false },
  });
  const patches = g.op('Add', [projected, positions], { out: 'patches_placed' });
  const clsToken = g.weight('cls_token', tensorOf(state, 'cls_token'));
  const placed = g.op('Add', [clsToken, g.weight('pos_embed.cls', stored.cls)], { out: 'cls_placed' });
  const cls = perImage(g, { x: placed, batch: grid.batch, shape: [1, dim], out: 'cls_tokens' });
  let x = g.op('Concat', [cls, patches], { out: 'tokens', attributes: { axis: 1 } });
  for (let index = 0; index < depth; index++) {
    const last = index === depth - 1;
    x = transformerBlock(g, {
      prefix: `blocks.${index}`,
      state,
      x,
      heads,
      epsilon: LAYER_NORM_EPSILON,
      ...(last && { featuresAfter: 1 }),
    });
  }
  const weight = tensorOf(state, 'norm.weight');
  tokenFeatures(g, {
    x: g.layerNorm('norm', x, weight, tensorOf(state, 'norm.bias'), LAYER_NORM_EPSILON),
    dim,
    leading: 1,
  });
}
