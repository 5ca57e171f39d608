import { FEATURE_NAMES } from '../../inference/features.js';
import { CheckpointError } from '../checkpoints/checkpoint-error.js';
import type { StateDict } from '../checkpoints/tensor.js';
import type { GraphBuilder } from '../onnx/graph-builder.js';
import type { Architecture, ArchitectureHints } from './architecture.js';
import { attentionHeads } from './attention-heads.js';
import { tokenFeatures, transformerBlock } from './shared-block.js';
import { withLeadingTokens } from './shared-leading-tokens.js';
import { normalisedPixels, patchGrid, projectedPatches } from './shared-pixels.js';
import { interpolatedPositions, splitPositions, type PositionResampling } from './shared-positions.js';
import { checkTensors, countBlocks, tensorOf } from './shared-tensors.js';
import { readBlockShape, transformerShapes, type BlockShape } from './transformer-shapes.js';

/** By the authors' names (https://github.com/facebookresearch/dinov2/blob/main/dinov2/models/vision_transformer.py). */
const VARIANTS = [
  { name: 'vit_small', dim: 384, depth: 12, heads: 6 },
  { name: 'vit_base', dim: 768, depth: 12, heads: 12 },
  { name: 'vit_large', dim: 1024, depth: 24, heads: 16 },
  { name: 'vit_giant2', dim: 1536, depth: 40, heads: 24 },
] as const;
const LAYER_NORM_EPSILON = 1e-6;
/**
 * No tensor tells how the positions of a grid that isn't stored are found; this is how the published models are made
 * (https://github.com/facebookresearch/dinov2/blob/main/dinov2/hub/backbones.py).
 */
const WITHOUT_REGISTERS: PositionResampling = { offset: 0.1, antialias: false };
const WITH_REGISTERS: PositionResampling = { offset: 0, antialias: true };

interface Dinov2Shape extends BlockShape {
  readonly depth: number;
  readonly heads: number;
  readonly patchSize: number;
  /** Side of the stored grid of positions. */
  readonly grid: number;
  readonly registers: number;
}

/**
 * Recognises a vision transformer of DINOv2, with or without registers, by its tensors' names.
 *
 * @param original under their official names; the training's `blocks.<chunk>.<block>` are understood
 * @returns undefined when it is another family
 * @throws CheckpointError when a tensor is missing, surplus or of a wrong shape
 */
export function recogniseDinov2(original: StateDict, hints: ArchitectureHints): Architecture | undefined {
  const state = withoutChunks(original);
  if (!isDinov2(state)) return undefined;
  const shape = readShape(state, hints);
  const variant = variantOf(shape);
  const shapes = transformerShapes(shape, shape)
    .set('cls_token', [1, 1, shape.dim])
    .set('pos_embed', [1, shape.grid ** 2 + 1, shape.dim]);
  if (shape.registers > 0) shapes.set('register_tokens', [1, shape.registers, shape.dim]);
  checkTensors(state, { what: `${variant}/${shape.patchSize} of DINOv2`, shapes, ignored: ['mask_token'] });
  return {
    family: 'dinov2',
    variant,
    patchSize: shape.patchSize,
    multipleOf: shape.patchSize,
    embedDim: shape.dim,
    depth: shape.depth,
    heads: shape.heads,
    outputs: FEATURE_NAMES,
    build: (graph) => buildDinov2(graph, state, shape),
  };
}

/** Whether these are a ViT's names with what DINOv2 added to DINO's: registers, layer scale or a gated feed-forward layer. */
function isDinov2(state: StateDict): boolean {
  const needed = ['cls_token', 'pos_embed', 'patch_embed.proj.weight', 'blocks.0.attn.qkv.weight'];
  const added = ['register_tokens', 'blocks.0.ls1.gamma', 'blocks.0.mlp.w12.weight'];
  return needed.every((name) => state.has(name)) && added.some((name) => state.has(name));
}

/** The training keeps its blocks in chunks: `blocks.1.10.norm1.weight` is of block 10. */
function withoutChunks(state: StateDict): StateDict {
  const chunked = /^blocks\.\d+\.(\d+\..*)$/;
  if (![...state.keys()].some((name) => chunked.test(name))) return state;
  return new Map([...state].map(([name, tensor]) => [name.replace(chunked, 'blocks.$1'), tensor]));
}

function readShape(state: StateDict, hints: ArchitectureHints): Dinov2Shape {
  const [dim, , patchSize] = tensorOf(state, 'patch_embed.proj.weight').shape as [number, number, number];
  const positions = tensorOf(state, 'pos_embed').shape;
  const grid = Math.sqrt((positions[1] ?? 0) - 1);
  if (!Number.isInteger(grid) || grid < 1 || positions.length !== 3) {
    throw new CheckpointError(
      `pos_embed is [${positions.join(', ')}], which is not a square grid of patches and one more: the checkpoint is damaged or of another network`,
    );
  }
  const official = VARIANTS.find((variant) => variant.dim === dim)?.heads;
  return {
    ...readBlockShape(state, dim),
    depth: countBlocks(state, 'blocks'),
    heads: attentionHeads(dim, { said: hints.heads, official }),
    patchSize,
    grid,
    registers: state.get('register_tokens')?.shape[1] ?? 0,
  };
}

function variantOf({ dim, depth, heads, registers }: Dinov2Shape): string {
  const named = VARIANTS.find((variant) => variant.dim === dim && variant.depth === depth);
  const size = named?.heads === heads ? named.name : `vit_d${dim}_l${depth}_h${heads}`;
  return registers > 0 ? `${size}_reg${registers}` : size;
}

function buildDinov2(g: GraphBuilder, state: StateDict, shape: Dinov2Shape): void {
  const { dim, depth, heads, registers } = shape;
  const leading = 1 + registers;
  const pixels = normalisedPixels(g);
  const grid = patchGrid(g, shape.patchSize);
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
    resampling: registers > 0 ? WITH_REGISTERS : WITHOUT_REGISTERS,
  });
  const cls = g.weight('cls_token', tensorOf(state, 'cls_token'));
  let x = withLeadingTokens(g, {
    cls: g.op('Add', [cls, g.weight('pos_embed.cls', stored.cls)], { out: 'cls_placed' }),
    // Registers have no place in the image, so no position is added to them.
    ...(registers > 0 && { registers: g.weight('register_tokens', tensorOf(state, 'register_tokens')) }),
    count: leading,
    patches: g.op('Add', [projected, positions], { out: 'patches_placed' }),
    dim,
    batch: grid.batch,
  });
  for (let index = 0; index < depth; index++) {
    x = transformerBlock(g, {
      prefix: `blocks.${index}`,
      state,
      x,
      heads,
      epsilon: LAYER_NORM_EPSILON,
      mlp: shape.mlp,
      layerScale: shape.layerScale,
      ...(index === depth - 1 && { featuresAfter: leading }),
    });
  }
  const weight = tensorOf(state, 'norm.weight');
  tokenFeatures(g, {
    x: g.layerNorm('norm', x, weight, tensorOf(state, 'norm.bias'), LAYER_NORM_EPSILON),
    dim,
    leading,
  });
}
