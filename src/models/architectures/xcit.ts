import { FEATURE_NAMES } from '../../inference/features.js';
import { CheckpointError } from '../checkpoints/checkpoint-error.js';
import type { StateDict } from '../checkpoints/tensor.js';
import type { Architecture } from './architecture.js';
import { batchCounters, expectBatchNorm } from './convolution.js';
import { checkTensors, countBlocks, tensorOf } from './shared-tensors.js';
import { buildXcit, POSITION_DIM, type XcitShape } from './xcit-graph.js';

/** Width, depth and heads by the authors' names (https://github.com/facebookresearch/xcit/blob/main/xcit.py). */
const VARIANTS = new Map([
  ['xcit_tiny_12', { dim: 192, depth: 12, heads: 4 }],
  ['xcit_tiny_24', { dim: 192, depth: 24, heads: 4 }],
  ['xcit_small_12', { dim: 384, depth: 12, heads: 8 }],
  ['xcit_small_24', { dim: 384, depth: 24, heads: 8 }],
  ['xcit_medium_24', { dim: 512, depth: 24, heads: 8 }],
  ['xcit_large_24', { dim: 768, depth: 24, heads: 16 }],
]);
/** Width of the nano networks, which alone normalise only CLS in their class-attention blocks; no tensor tells that. */
const NANO_DIM = 128;

/**
 * Recognises an XCiT in the authors' names. Its attention and keys are those of the last class-attention block.
 *
 * @returns undefined when it is another family
 * @throws CheckpointError when a tensor is missing, surplus or of a wrong shape, or the network is one of the nano ones
 */
export function recogniseXcit(state: StateDict): Architecture | undefined {
  if (!state.has('cls_attn_blocks.0.attn.qkv.weight') || !state.has('blocks.0.attn.temperature')) {
    return undefined;
  }
  const shape = readShape(state);
  const { dim, depth, heads, patchSize } = shape;
  const variant = variantOf(shape);
  if (dim === NANO_DIM) {
    throw new CheckpointError(
      'this is an xcit_nano: of the XCiTs, only tiny and larger ones can be imported',
    );
  }
  checkTensors(state, {
    what: `${variant}/${patchSize}`,
    shapes: expectedShapes(shape),
    ignored: batchCounters(state),
  });
  return {
    family: 'xcit',
    variant,
    patchSize,
    multipleOf: patchSize,
    embedDim: dim,
    depth,
    heads,
    outputs: FEATURE_NAMES,
    build: (graph) => buildXcit(graph, state, shape),
  };
}

function readShape(state: StateDict): XcitShape {
  const [dim = 0] = tensorOf(state, 'norm.weight').shape;
  const [heads = 0] = tensorOf(state, 'blocks.0.attn.temperature').shape;
  const [mlpDim = 0] = tensorOf(state, 'blocks.0.mlp.fc1.weight').shape;
  if (heads < 1 || dim % heads !== 0) {
    throw new CheckpointError(`${heads} heads do not divide the width ${dim}: the checkpoint is damaged`);
  }
  // Convolutions and activations take turns.
  const halvings = Math.ceil(countBlocks(state, 'patch_embed.proj') / 2);
  return {
    dim,
    heads,
    mlpDim,
    halvings,
    patchSize: 2 ** halvings,
    depth: countBlocks(state, 'blocks'),
    classDepth: countBlocks(state, 'cls_attn_blocks'),
  };
}

function variantOf({ dim, depth, heads }: XcitShape): string {
  for (const [name, variant] of VARIANTS) {
    if (variant.dim === dim && variant.depth === depth && variant.heads === heads) return name;
  }
  return `xcit_d${dim}_l${depth}_h${heads}`;
}

function expectedShapes(shape: XcitShape): Map<string, readonly number[]> {
  const { dim, depth, classDepth, heads, mlpDim, halvings } = shape;
  const shapes = new Map<string, readonly number[]>([
    ['cls_token', [1, 1, dim]],
    ['pos_embeder.token_projection.weight', [dim, 2 * POSITION_DIM, 1, 1]],
    ['pos_embeder.token_projection.bias', [dim]],
  ]);
  const pair = (name: string, ...size: number[]) =>
    shapes.set(`${name}.weight`, size).set(`${name}.bias`, [size[0]!]);
  for (let step = 0; step < halvings; step++) {
    const [from, to] = [step === 0 ? 3 : dim >> (halvings - step), dim >> (halvings - 1 - step)];
    shapes.set(`patch_embed.proj.${2 * step}.0.weight`, [to, from, 3, 3]);
    expectBatchNorm(shapes, `patch_embed.proj.${2 * step}.1`, to);
  }
  const common = (block: string, gammas: number) => {
    for (let index = 1; index <= gammas; index++) {
      shapes.set(`${block}.gamma${index}`, [dim]);
      pair(`${block}.norm${index}`, dim);
    }
    pair(`${block}.attn.qkv`, 3 * dim, dim);
    pair(`${block}.attn.proj`, dim, dim);
    pair(`${block}.mlp.fc1`, mlpDim, dim);
    pair(`${block}.mlp.fc2`, dim, mlpDim);
  };
  for (let index = 0; index < depth; index++) {
    const block = `blocks.${index}`;
    common(block, 3);
    shapes.set(`${block}.attn.temperature`, [heads, 1, 1]);
    pair(`${block}.local_mp.conv1`, dim, 1, 3, 3);
    expectBatchNorm(shapes, `${block}.local_mp.bn`, dim);
    pair(`${block}.local_mp.conv2`, dim, 1, 3, 3);
  }
  for (let index = 0; index < classDepth; index++) common(`cls_attn_blocks.${index}`, 2);
  return pair('norm', dim);
}
