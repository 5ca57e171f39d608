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

/** By the authors' names (https://github.com/facebookresearch/dinov2/blob/main/dinov2/models/vision_transformer.py). */
const VARIANTS = new Map([
  ['vit_small', { dim: 384, depth: 12, heads: 6 }],
  ['vit_base', { dim: 768, depth: 12, heads: 12 }],
  ['vit_large', { dim: 1024, depth: 24, heads: 16 }],
  ['vit_giant2', { dim: 1536, depth: 40, heads: 24 }],
]);
/**
 * No tensor tells how the positions of a grid that isn't stored are found; this is how the published models are made
 * (https://github.com/facebookresearch/dinov2/blob/main/dinov2/hub/backbones.py).
 */
const WITHOUT_REGISTERS: PositionResampling = { offset: 0.1, antialias: false };
const WITH_REGISTERS: PositionResampling = { offset: 0, antialias: true };

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
  const vit = readPositionedVit(state, hints, VARIANTS);
  const variant = variantOf(vit);
  const what = `${variant}/${vit.patchSize} of DINOv2`;
  checkTensors(state, { what, shapes: positionedVitShapes(vit), ignored: ['mask_token'] });
  return {
    family: 'dinov2',
    variant,
    patchSize: vit.patchSize,
    multipleOf: vit.patchSize,
    embedDim: vit.dim,
    depth: vit.depth,
    heads: vit.heads,
    outputs: FEATURE_NAMES,
    build: (graph) =>
      buildPositionedVit(graph, {
        state,
        vit,
        resampling: vit.registers > 0 ? WITH_REGISTERS : WITHOUT_REGISTERS,
      }),
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

function variantOf({ dim, depth, heads, registers }: PositionedVit): string {
  const named = [...VARIANTS].find(([, variant]) => variant.dim === dim && variant.depth === depth);
  const size = named?.[1].heads === heads ? named[0] : `vit_d${dim}_l${depth}_h${heads}`;
  return registers > 0 ? `${size}_reg${registers}` : size;
}
