import { FEATURE_NAMES } from '../../inference/features.js';
import type { StateDict } from '../checkpoints/tensor.js';
import type { Architecture, ArchitectureHints } from './architecture.js';
import {
  buildPositionedVit,
  positionedVitShapes,
  readPositionedVit,
  type PositionedVit,
} from './positioned-vit.js';
import type { PositionResampling } from './shared-positions.js';
import { checkTensors } from './shared-tensors.js';

/** Width, depth and heads by the names of scripts/train.py: `vit_micro` is ours, the others the authors' (https://github.com/facebookresearch/dino/blob/main/vision_transformer.py). */
const VARIANTS = new Map([
  ['vit_micro', { dim: 128, depth: 6, heads: 4 }],
  ['vit_tiny', { dim: 192, depth: 12, heads: 3 }],
  ['vit_small', { dim: 384, depth: 12, heads: 6 }],
  ['vit_base', { dim: 768, depth: 12, heads: 12 }],
]);
/** Keeps the authors' interpolation from rounding down to a patch less (https://github.com/facebookresearch/dino/issues/8). */
const RESAMPLING: PositionResampling = { offset: 0.1, antialias: false };

/**
 * Recognises a vision transformer of DINO v1 by its tensors' names.
 *
 * @returns undefined when it is another family
 * @throws CheckpointError when a tensor is missing, surplus or of a wrong shape
 */
export function recogniseVit(state: StateDict, hints: ArchitectureHints): Architecture | undefined {
  if (!isVit(state)) return undefined;
  const vit = readPositionedVit(state, hints, VARIANTS);
  const variant = variantOf(vit);
  checkTensors(state, {
    what: `${variant}/${vit.patchSize}`,
    shapes: positionedVitShapes(vit),
    ignored: ['mask_token'],
  });
  return {
    family: 'vit',
    variant,
    patchSize: vit.patchSize,
    multipleOf: vit.patchSize,
    embedDim: vit.dim,
    depth: vit.depth,
    heads: vit.heads,
    outputs: FEATURE_NAMES,
    build: (graph) => buildPositionedVit(graph, { state, vit, resampling: RESAMPLING }),
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

function variantOf({ dim, depth, heads }: PositionedVit): string {
  for (const [name, variant] of VARIANTS) {
    if (variant.dim === dim && variant.depth === depth && variant.heads === heads) return name;
  }
  return `vit_d${dim}_l${depth}_h${heads}`;
}
