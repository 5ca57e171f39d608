import { CheckpointError } from '../checkpoints/checkpoint-error.js';
import type { StateDict } from '../checkpoints/tensor.js';
import type { GraphBuilder } from '../onnx/graph-builder.js';
import type { ArchitectureHints } from './architecture.js';
import { attentionHeads } from './attention-heads.js';
import { tokenFeatures, transformerBlock } from './shared-block.js';
import { withLeadingTokens } from './shared-leading-tokens.js';
import { normalisedPixels, patchGrid, projectedPatches } from './shared-pixels.js';
import { interpolatedPositions, splitPositions, type PositionResampling } from './shared-positions.js';
import { countBlocks, tensorOf } from './shared-tensors.js';
import { readBlockShape, transformerShapes, type BlockShape } from './transformer-shapes.js';

const LAYER_NORM_EPSILON = 1e-6;

/** A vision transformer that stores the positions of a square grid, as those of DINO and DINOv2 do. */
export interface PositionedVit extends BlockShape {
  readonly depth: number;
  readonly heads: number;
  readonly patchSize: number;
  /** Side of the stored grid of positions. */
  readonly grid: number;
  readonly registers: number;
}

/**
 * @param official depth and heads of the authors' networks by their names
 * @throws CheckpointError when the positions are no square grid, or nothing tells the number of heads
 */
export function readPositionedVit(
  state: StateDict,
  hints: ArchitectureHints,
  official: ReadonlyMap<string, { readonly dim: number; readonly heads: number }>,
): PositionedVit {
  const [dim, , patchSize] = tensorOf(state, 'patch_embed.proj.weight').shape as [number, number, number];
  const positions = tensorOf(state, 'pos_embed').shape;
  const grid = Math.sqrt((positions[1] ?? 0) - 1);
  if (!Number.isInteger(grid) || grid < 1 || positions.length !== 3) {
    throw new CheckpointError(
      `pos_embed is [${positions.join(', ')}], which is not a square grid of patches and one more: the checkpoint is damaged or of another network`,
    );
  }
  const known = [...official.values()].find((variant) => variant.dim === dim)?.heads;
  return {
    ...readBlockShape(state, dim),
    depth: countBlocks(state, 'blocks'),
    heads: attentionHeads(dim, { said: hints.heads, official: known }),
    patchSize,
    grid,
    registers: state.get('register_tokens')?.shape[1] ?? 0,
  };
}

/** Name and shape of every tensor. */
export function positionedVitShapes(vit: PositionedVit): Map<string, readonly number[]> {
  const shapes = transformerShapes(vit, vit)
    .set('cls_token', [1, 1, vit.dim])
    .set('pos_embed', [1, vit.grid ** 2 + 1, vit.dim]);
  return vit.registers > 0 ? shapes.set('register_tokens', [1, vit.registers, vit.dim]) : shapes;
}

/** Adds the whole graph. */
export function buildPositionedVit(
  g: GraphBuilder,
  options: {
    readonly state: StateDict;
    readonly vit: PositionedVit;
    readonly resampling: PositionResampling;
  },
): void {
  const { state, vit, resampling } = options;
  const { dim, depth, heads, registers } = vit;
  const leading = 1 + registers;
  const pixels = normalisedPixels(g);
  const grid = patchGrid(g, vit.patchSize);
  const projected = projectedPatches(g, {
    grid,
    pixels,
    weight: tensorOf(state, 'patch_embed.proj.weight'),
    bias: tensorOf(state, 'patch_embed.proj.bias'),
  });
  const stored = splitPositions(tensorOf(state, 'pos_embed'));
  const positions = interpolatedPositions(g, { grid, patches: stored.patches, resampling });
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
      mlp: vit.mlp,
      layerScale: vit.layerScale,
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
