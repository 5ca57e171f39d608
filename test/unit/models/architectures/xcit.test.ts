import { describe, expect, it } from 'vitest';
import { recogniseXcit } from '#dino/models/architectures/xcit.js';
import { GraphBuilder } from '#dino/models/onnx/graph-builder.js';
import { plainMlp, unread, without, type Shapes } from './states.js';

interface XcitOptions {
  readonly dim: number;
  readonly depth: number;
  readonly heads: number;
  readonly patchSize: 8 | 16;
}

/** The tensors of an XCiT in the authors' names. */
function xcit({ dim, depth, heads, patchSize }: XcitOptions): Shapes {
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

const recognise = (shapes: Shapes) => recogniseXcit(unread(shapes));
const small = xcit({ dim: 384, depth: 12, heads: 8, patchSize: 16 });

describe('recogniseXcit', () => {
  it.each([
    ['xcit_small_12', { dim: 384, depth: 12, heads: 8, patchSize: 16 }],
    ['xcit_small_12', { dim: 384, depth: 12, heads: 8, patchSize: 8 }],
    ['xcit_medium_24', { dim: 512, depth: 24, heads: 8, patchSize: 16 }],
    ['xcit_medium_24', { dim: 512, depth: 24, heads: 8, patchSize: 8 }],
    ['xcit_d32_l2_h4', { dim: 32, depth: 2, heads: 4, patchSize: 8 }],
  ] as const)(
    'names %s of %o by its tensors, and builds its graph without reading one',
    (variant, options) => {
      const architecture = recognise(xcit(options))!;
      const { dim, depth, heads, patchSize } = options;
      expect(architecture).toMatchObject({ family: 'xcit', variant, patchSize, multipleOf: patchSize });
      expect(architecture).toMatchObject({ embedDim: dim, depth, heads });
      expect(architecture.outputs).toEqual(['embedding', 'patch_tokens', 'attention', 'keys']);
      architecture.build(new GraphBuilder({ name: variant }));
    },
  );

  it('names what is missing, what is of a wrong shape and what has no place', () => {
    expect(() => recognise(without(small, 'blocks.7.local_mp.bn.running_mean'))).toThrow(
      'the tensors look like xcit_small_12/16, but there is no blocks.7.local_mp.bn.running_mean: use a complete checkpoint, or name its architecture',
    );
    expect(() => recognise({ ...small, 'blocks.3.attn.temperature': [6, 1, 1] })).toThrow(
      'blocks.3.attn.temperature is [6, 1, 1] and not [8, 1, 1]',
    );
    expect(() => recognise({ ...small, pos_embed: [1, 197, 384] })).toThrow('pos_embed has no place in it');
    expect(() => recognise(without(small, 'norm.weight'))).toThrow(
      'the checkpoint has no tensor norm.weight',
    );
  });

  it('refuses heads that do not divide the width', () => {
    expect(() => recognise({ ...small, 'blocks.0.attn.temperature': [7, 1, 1] })).toThrow(
      '7 heads do not divide the width 384: the checkpoint is damaged',
    );
  });

  it('refuses the nano networks, which normalise in another place that no tensor tells', () => {
    expect(() => recognise(xcit({ dim: 128, depth: 12, heads: 4, patchSize: 16 }))).toThrow(
      'this is an xcit_nano: of the XCiTs, only tiny and larger ones can be imported',
    );
  });

  it('leaves other networks to others', () => {
    expect(recognise(without(small, 'cls_attn_blocks.0.attn.qkv.weight'))).toBeUndefined();
    expect(recognise({ 'conv1.weight': [64, 3, 7, 7] })).toBeUndefined();
  });
});
