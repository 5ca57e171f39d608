import { FEATURE_NAMES } from '../../inference/features.js';
import { CheckpointError } from '../checkpoints/checkpoint-error.js';
import type { StateDict } from '../checkpoints/tensor.js';
import type { GraphBuilder, LazyFloats } from '../onnx/graph-builder.js';
import type { Architecture, ArchitectureHints } from './architecture.js';
import { attentionHeads } from './attention-heads.js';
import { withMaskedBiases } from './masked-biases.js';
import { rotaryPositions } from './rotary-positions.js';
import { patchesOnly } from './shared-attention.js';
import { tokenFeatures, transformerBlock } from './shared-block.js';
import { withLeadingTokens } from './shared-leading-tokens.js';
import { normalisedPixels, patchGrid, projectedPatches } from './shared-pixels.js';
import { checkTensors, countBlocks, tensorOf } from './shared-tensors.js';
import { readBlockShape, transformerShapes, type BlockShape } from './transformer-shapes.js';

/** The published models (https://github.com/facebookresearch/dinov3/blob/main/dinov3/hub/backbones.py). */
const VARIANTS = [
  { name: 'vit_small', dim: 384, depth: 12, heads: 6, gated: false },
  { name: 'vit_small_plus', dim: 384, depth: 12, heads: 6, gated: true },
  { name: 'vit_base', dim: 768, depth: 12, heads: 12, gated: false },
  { name: 'vit_large', dim: 1024, depth: 24, heads: 16, gated: false },
  { name: 'vit_large_plus', dim: 1024, depth: 24, heads: 16, gated: true },
  { name: 'vit_huge_plus', dim: 1280, depth: 32, heads: 20, gated: true },
  { name: 'vit_7b', dim: 4096, depth: 40, heads: 32, gated: true },
] as const;
/** Not the 1e-6 of the earlier models: the published ones are trained in bfloat16. */
const LAYER_NORM_EPSILON = 1e-5;
const ROPE_BASE = 100;
/** `local_cls_norm` is used in training only. */
const IGNORED = ['mask_token', 'local_cls_norm.weight', 'local_cls_norm.bias'];

interface Dinov3Shape extends BlockShape {
  readonly depth: number;
  readonly heads: number;
  readonly patchSize: number;
  readonly registers: number;
  /** Whether CLS has a last norm of its own, `cls_norm`. */
  readonly untiedNorms: boolean;
  readonly epsilon: number;
  readonly periods: LazyFloats;
}

/**
 * Recognises a vision transformer of DINOv3 by its tensors' names.
 *
 * @returns undefined when it is another family
 * @throws CheckpointError when a tensor is missing, surplus or of a wrong shape, or the head count contradicts the positions
 */
export function recogniseDinov3(original: StateDict, hints: ArchitectureHints): Architecture | undefined {
  if (!isDinov3(original)) return undefined;
  const state = withMaskedBiases(original);
  const shape = readShape(state, hints);
  const { dim, heads, registers, untiedNorms } = shape;
  const variant = variantOf(shape);
  const shapes = transformerShapes(shape, shape).set('cls_token', [1, 1, dim]);
  if (registers > 0) shapes.set('storage_tokens', [1, registers, dim]);
  if (untiedNorms) shapes.set('cls_norm.weight', [dim]).set('cls_norm.bias', [dim]);
  if (state.has('rope_embed.periods')) shapes.set('rope_embed.periods', [dim / heads / 4]);
  const ignored = registers > 0 ? IGNORED : [...IGNORED, 'storage_tokens'];
  checkTensors(state, { what: `${variant}/${shape.patchSize} of DINOv3`, shapes, ignored });
  refuseSatellite(state, variant);
  return {
    family: 'dinov3',
    variant,
    patchSize: shape.patchSize,
    multipleOf: shape.patchSize,
    embedDim: dim,
    depth: shape.depth,
    heads,
    outputs: FEATURE_NAMES,
    build: (graph) => buildDinov3(graph, state, shape),
  };
}

/**
 * The large model for satellite images has means and deviations of its own, which the graph would not apply. Of the published
 * large models it alone stores a norm for training.
 */
function refuseSatellite(state: StateDict, variant: string): void {
  if (variant !== 'vit_large' || !state.has('local_cls_norm.weight')) return;
  throw new CheckpointError(
    "the tensors are those of DINOv3's vit_large for satellite images (SAT-493M), which are normalised in another way than photos: it can't be imported. Other weights can: save them without local_cls_norm",
  );
}

/** Whether these are a ViT's names without stored positions and with what DINOv3 has. */
function isDinov3(state: StateDict): boolean {
  const needed = ['cls_token', 'patch_embed.proj.weight', 'blocks.0.attn.qkv.weight'];
  const added = ['rope_embed.periods', 'storage_tokens', 'blocks.0.ls1.gamma'];
  return (
    needed.every((name) => state.has(name)) &&
    added.some((name) => state.has(name)) &&
    !state.has('pos_embed')
  );
}

function readShape(state: StateDict, hints: ArchitectureHints): Dinov3Shape {
  const [dim, , patchSize] = tensorOf(state, 'patch_embed.proj.weight').shape as [number, number, number];
  const { periods, heads } = readRotation(state, dim, hints);
  return {
    ...readBlockShape(state, dim),
    depth: countBlocks(state, 'blocks'),
    heads,
    patchSize,
    registers: state.get('storage_tokens')?.shape[1] ?? 0,
    untiedNorms: state.has('cls_norm.weight'),
    epsilon: numberIn(hints, 'config.layer_norm_eps') ?? LAYER_NORM_EPSILON,
    periods,
  };
}

/**
 * Periods of the rotation and the head count that follows from their number. The periods count as they are stored, whatever
 * they were computed from; the transformers library stores none.
 */
function readRotation(
  state: StateDict,
  dim: number,
  hints: ArchitectureHints,
): { periods: LazyFloats; heads: number } {
  const stored = state.get('rope_embed.periods');
  if (stored === undefined) {
    const official = VARIANTS.find((variant) => variant.dim === dim)?.heads;
    const heads = attentionHeads(dim, { said: hints.heads, official });
    const base =
      numberIn(hints, 'config.rope_theta') ??
      numberIn(hints, 'config.rope_parameters.rope_theta') ??
      ROPE_BASE;
    return { periods: periodsOf(base, rotatedWidth(dim, heads)), heads };
  }
  const heads = dim / (4 * (stored.shape[0] ?? 0));
  if (!Number.isInteger(heads) || heads < 1) {
    throw new CheckpointError(
      `rope_embed.periods is [${stored.shape.join(', ')}], which does not divide the width ${dim}: the checkpoint is damaged or of another network`,
    );
  }
  if (hints.heads !== undefined && hints.heads !== heads) {
    throw new CheckpointError(
      `rope_embed.periods is [${stored.shape.join(', ')}], which stands for ${heads} attention heads and not for ${hints.heads}: leave the heads out`,
    );
  }
  return { periods: stored, heads };
}

/** Width of a head. @throws CheckpointError when it has no quarter */
function rotatedWidth(dim: number, heads: number): number {
  const headDim = dim / heads;
  if (headDim % 4 !== 0) {
    throw new CheckpointError(
      `a width of ${dim} with ${heads} heads leaves ${headDim} for each, which is no multiple of 4: say how many heads there are`,
    );
  }
  return headDim;
}

/** base^(2 i / (head width / 2)) for the quarters of a head's width. */
function periodsOf(base: number, headDim: number): LazyFloats {
  const count = headDim / 4;
  return {
    shape: [count],
    load: async () => Float32Array.from({ length: count }, (_, index) => base ** ((4 * index) / headDim)),
  };
}

function numberIn({ config }: ArchitectureHints, key: string): number | undefined {
  const value = config?.get(key);
  return typeof value === 'number' ? value : undefined;
}

function variantOf({ dim, depth, heads, mlp }: Dinov3Shape): string {
  const gated = mlp !== 'gelu';
  const named = VARIANTS.find(
    (variant) => variant.dim === dim && variant.depth === depth && variant.gated === gated,
  );
  return named?.heads === heads ? named.name : `vit_d${dim}_l${depth}_h${heads}`;
}

function buildDinov3(g: GraphBuilder, state: StateDict, shape: Dinov3Shape): void {
  const { dim, depth, heads, registers, epsilon } = shape;
  const leading = 1 + registers;
  const pixels = normalisedPixels(g);
  const grid = patchGrid(g, shape.patchSize);
  let x = withLeadingTokens(g, {
    cls: g.weight('cls_token', tensorOf(state, 'cls_token')),
    ...(registers > 0 && { registers: g.weight('storage_tokens', tensorOf(state, 'storage_tokens')) }),
    count: leading,
    patches: projectedPatches(g, {
      grid,
      pixels,
      weight: tensorOf(state, 'patch_embed.proj.weight'),
      bias: tensorOf(state, 'patch_embed.proj.bias'),
    }),
    dim,
    batch: grid.batch,
  });
  const rotate = rotaryPositions(g, { grid, periods: shape.periods, leading });
  for (let index = 0; index < depth; index++) {
    x = transformerBlock(g, {
      prefix: `blocks.${index}`,
      state,
      x,
      heads,
      epsilon,
      mlp: shape.mlp,
      layerScale: shape.layerScale,
      rotate,
      ...(index === depth - 1 && { featuresAfter: leading }),
    });
  }
  const norm = (name: string, value: string) =>
    g.layerNorm(name, value, tensorOf(state, `${name}.weight`), tensorOf(state, `${name}.bias`), epsilon);
  if (!shape.untiedNorms) {
    tokenFeatures(g, { x: norm('norm', x), dim, leading });
    return;
  }
  const cls = g.op('Gather', [x, g.int(0)], { out: 'cls_unnormalised', attributes: { axis: 1 } });
  g.output(g.op('Identity', [norm('cls_norm', cls)], { out: 'embedding' }), ['batch', dim]);
  const patches = patchesOnly(g, x, { axis: 1, leading, out: 'patches_unnormalised' });
  g.output(g.op('Identity', [norm('norm', patches)], { out: 'patch_tokens' }), ['batch', 'patches', dim]);
}
