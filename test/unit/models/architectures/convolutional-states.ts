import { plainMlp, type Shapes } from './states.js';

/** The tensors of a ResNet of bottlenecks in torchvision's names, without a classifier. */
export function resnet(layers: readonly number[], width = 64): Shapes {
  const shapes: Record<string, readonly number[]> = {};
  const convolution = (name: string, norm: string, shape: readonly number[]) => {
    shapes[`${name}.weight`] = shape;
    for (const leaf of ['weight', 'bias', 'running_mean', 'running_var'])
      shapes[`${norm}.${leaf}`] = [shape[0]!];
    shapes[`${norm}.num_batches_tracked`] = [];
  };
  convolution('conv1', 'bn1', [width, 3, 7, 7]);
  let from = width;
  layers.forEach((count, stage) => {
    const channels = width * 2 ** stage;
    for (let index = 0; index < count; index++) {
      const block = `layer${stage + 1}.${index}`;
      convolution(`${block}.conv1`, `${block}.bn1`, [channels, from, 1, 1]);
      convolution(`${block}.conv2`, `${block}.bn2`, [channels, channels, 3, 3]);
      convolution(`${block}.conv3`, `${block}.bn3`, [4 * channels, channels, 1, 1]);
      if (index === 0) {
        convolution(`${block}.downsample.0`, `${block}.downsample.1`, [4 * channels, from, 1, 1]);
      }
      from = 4 * channels;
    }
  });
  return shapes;
}

export interface XcitOptions {
  readonly dim: number;
  readonly depth: number;
  readonly heads: number;
  readonly patchSize: 8 | 16;
}

/** The tensors of an XCiT in the authors' names. */
export function xcit({ dim, depth, heads, patchSize }: XcitOptions): Shapes {
  const shapes: Record<string, readonly number[]> = {
    cls_token: [1, 1, dim],
    'pos_embeder.token_projection.weight': [dim, 64, 1, 1],
    'pos_embeder.token_projection.bias': [dim],
    'norm.weight': [dim],
    'norm.bias': [dim],
  };
  const norm = (name: string, channels: number) => {
    for (const leaf of ['weight', 'bias', 'running_mean', 'running_var'])
      shapes[`${name}.${leaf}`] = [channels];
    shapes[`${name}.num_batches_tracked`] = [];
  };
  const halvings = Math.log2(patchSize);
  for (let step = 0; step < halvings; step++) {
    const to = dim / 2 ** (halvings - 1 - step);
    shapes[`patch_embed.proj.${2 * step}.0.weight`] = [to, step === 0 ? 3 : to / 2, 3, 3];
    norm(`patch_embed.proj.${2 * step}.1`, to);
  }
  const block = (name: string, branches: number) => {
    for (let index = 1; index <= branches; index++) {
      shapes[`${name}.gamma${index}`] = [dim];
      shapes[`${name}.norm${index}.weight`] = [dim];
      shapes[`${name}.norm${index}.bias`] = [dim];
    }
    const attention: Shapes = {
      'attn.qkv.weight': [3 * dim, dim],
      'attn.qkv.bias': [3 * dim],
      'attn.proj.weight': [dim, dim],
      'attn.proj.bias': [dim],
    };
    for (const [leaf, shape] of Object.entries({ ...attention, ...plainMlp(dim, 4 * dim) })) {
      shapes[`${name}.${leaf}`] = shape;
    }
  };
  for (let index = 0; index < depth; index++) {
    block(`blocks.${index}`, 3);
    shapes[`blocks.${index}.attn.temperature`] = [heads, 1, 1];
    for (const convolution of ['conv1', 'conv2']) {
      shapes[`blocks.${index}.local_mp.${convolution}.weight`] = [dim, 1, 3, 3];
      shapes[`blocks.${index}.local_mp.${convolution}.bias`] = [dim];
    }
    norm(`blocks.${index}.local_mp.bn`, dim);
  }
  for (const index of [0, 1]) block(`cls_attn_blocks.${index}`, 2);
  return shapes;
}
