import { CheckpointError } from '../checkpoints/checkpoint-error.js';
import type { StateDict } from '../checkpoints/tensor.js';
import type { GraphBuilder } from '../onnx/graph-builder.js';
import type { Architecture } from './architecture.js';
import { batchCounters, convolve, expectBatchNorm } from './convolution.js';
import { patchGrid } from './shared-pixels.js';
import { checkTensors, countBlocks, tensorOf } from './shared-tensors.js';
import { mapToTokens, normalisedMap } from './token-map.js';

/** Torchvision's names, by the bottlenecks of the four stages. */
const VARIANTS = new Map([
  ['3,4,6,3', 'resnet50'],
  ['3,4,23,3', 'resnet101'],
  ['3,8,36,3', 'resnet152'],
]);
const USUAL_WIDTH = 64;
/** A bottleneck's output is this many times as wide as its 3x3 convolution. */
const EXPANSION = 4;
/** Five halvings: stem, pooling and the last three stages. */
const TOTAL_STRIDE = 32;

interface Bottleneck {
  /** e.g. `layer2.0`. */
  readonly name: string;
  readonly inChannels: number;
  /** Of the 3x3 convolution. */
  readonly channels: number;
  readonly outChannels: number;
  readonly stride: number;
  /** Whether the shortcut has a convolution. */
  readonly downsample: boolean;
}

/**
 * Recognises a ResNet of bottlenecks in torchvision's names, with the stride in the 3x3 convolution
 * (https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py).
 *
 * Its embedding is the average of the last feature map, and the places of that map are its patch tokens.
 *
 * @returns undefined when it is another family
 * @throws CheckpointError when a tensor is missing, surplus or of a wrong shape, or the blocks are no bottlenecks
 */
export function recogniseResnet(state: StateDict): Architecture | undefined {
  if (!state.has('conv1.weight') || !state.has('layer1.0.conv1.weight')) return undefined;
  // At least one: what an empty stage lacks is named by the check.
  const layers = [1, 2, 3, 4].map((stage) => Math.max(1, countBlocks(state, `layer${stage}`)));
  if (!state.has('layer1.0.conv3.weight')) {
    throw new CheckpointError(
      `this is a ResNet of ${layers.join(', ')} basic blocks: only those of bottlenecks, such as resnet50, can be imported`,
    );
  }
  const width = tensorOf(state, 'conv1.weight').shape[0] ?? 0;
  const variant =
    (width === USUAL_WIDTH && VARIANTS.get(layers.join())) || `resnet_w${width}_l${layers.join('_')}`;
  const blocks = bottlenecks(layers, width);
  checkTensors(state, {
    what: variant,
    shapes: expectedShapes(blocks, width),
    ignored: [...batchCounters(state), 'fc.weight', 'fc.bias'],
  });
  const embedDim = blocks.at(-1)!.outChannels;
  return {
    family: 'resnet',
    variant,
    patchSize: TOTAL_STRIDE,
    multipleOf: TOTAL_STRIDE,
    embedDim,
    depth: blocks.length,
    outputs: ['embedding', 'patch_tokens'],
    build: (graph) => buildResnet(graph, state, blocks),
  };
}

function bottlenecks(layers: readonly number[], width: number): Bottleneck[] {
  const blocks: Bottleneck[] = [];
  let inChannels = width;
  layers.forEach((count, stage) => {
    const channels = width * 2 ** stage;
    const outChannels = channels * EXPANSION;
    for (let index = 0; index < count; index++) {
      const stride = stage > 0 && index === 0 ? 2 : 1;
      const downsample = stride > 1 || inChannels !== outChannels;
      const name = `layer${stage + 1}.${index}`;
      blocks.push({ name, inChannels, channels, outChannels, stride, downsample });
      inChannels = outChannels;
    }
  });
  return blocks;
}

function expectedShapes(
  blocks: readonly Bottleneck[],
  width: number,
): ReadonlyMap<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>([['conv1.weight', [width, 3, 7, 7]]]);
  expectBatchNorm(shapes, 'bn1', width);
  for (const { name, inChannels, channels, outChannels, downsample } of blocks) {
    shapes.set(`${name}.conv1.weight`, [channels, inChannels, 1, 1]);
    expectBatchNorm(shapes, `${name}.bn1`, channels);
    shapes.set(`${name}.conv2.weight`, [channels, channels, 3, 3]);
    expectBatchNorm(shapes, `${name}.bn2`, channels);
    shapes.set(`${name}.conv3.weight`, [outChannels, channels, 1, 1]);
    expectBatchNorm(shapes, `${name}.bn3`, outChannels);
    if (!downsample) continue;
    shapes.set(`${name}.downsample.0.weight`, [outChannels, inChannels, 1, 1]);
    expectBatchNorm(shapes, `${name}.downsample.1`, outChannels);
  }
  return shapes;
}

function buildResnet(g: GraphBuilder, state: StateDict, blocks: readonly Bottleneck[]): void {
  const stem = { name: 'conv1', norm: 'bn1', stride: 2, padding: 3 };
  const pixels = normalisedMap(g);
  let x = relu(g, 'conv1', convolve(g, state, pixels, stem));
  x = g.op('MaxPool', [x], {
    out: 'maxpool',
    attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
  });
  for (const block of blocks) x = bottleneck(g, state, x, block);
  const dim = blocks.at(-1)!.outChannels;
  g.op('ReduceMean', [x, g.ints(2, 3)], { out: 'embedding', attributes: { keepdims: 0 } });
  g.output('embedding', ['batch', dim]);
  const grid = patchGrid(g, TOTAL_STRIDE);
  g.output(mapToTokens(g, { map: x, grid, dim, out: 'patch_tokens' }), ['batch', 'patches', dim]);
}

/** Reads x [B, inChannels, H, W]. @returns [B, outChannels, H / stride, W / stride] */
function bottleneck(g: GraphBuilder, state: StateDict, x: string, block: Bottleneck): string {
  const { name, stride, downsample } = block;
  const shortcut = downsample
    ? convolve(g, state, x, { name: `${name}.downsample.0`, norm: `${name}.downsample.1`, stride })
    : x;
  const reduced = convolve(g, state, x, { name: `${name}.conv1`, norm: `${name}.bn1` });
  const spatial = convolve(g, state, relu(g, `${name}.conv1`, reduced), {
    name: `${name}.conv2`,
    norm: `${name}.bn2`,
    stride,
    padding: 1,
  });
  const expanded = convolve(g, state, relu(g, `${name}.conv2`, spatial), {
    name: `${name}.conv3`,
    norm: `${name}.bn3`,
  });
  return relu(g, name, g.op('Add', [expanded, shortcut], { out: `${name}.sum` }));
}

function relu(g: GraphBuilder, name: string, x: string): string {
  return g.op('Relu', [x], { out: `${name}.relu` });
}
