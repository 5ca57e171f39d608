import { describe, expect, it } from 'vitest';
import { recogniseDinov3 } from '#dino/models/architectures/dinov3.js';
import { withMaskedBiases } from '#dino/models/architectures/masked-biases.js';
import { CheckpointError } from '#dino/models/checkpoints/checkpoint-error.js';
import type { LazyTensor } from '#dino/models/checkpoints/tensor.js';
import { GraphBuilder } from '#dino/models/onnx/graph-builder.js';
import { counting, plainMlp, transformer, unread, without, type Shapes } from './states.js';

const gatedMlp = (dim: number, width: number): Shapes => ({
  'mlp.w1.weight': [width, dim],
  'mlp.w1.bias': [width],
  'mlp.w2.weight': [width, dim],
  'mlp.w2.bias': [width],
  'mlp.w3.weight': [dim, width],
  'mlp.w3.bias': [dim],
});

function dinov3(
  dim: number,
  depth: number,
  options: { mlp?: Shapes; qkvBias?: boolean; periods?: number } = {},
): Shapes {
  const { mlp = plainMlp(dim, 4 * dim), qkvBias = true, periods = 16 } = options;
  const shapes: Record<string, readonly number[]> = {
    ...transformer({ dim, depth, patchSize: 16, mlp, qkvBias }),
    storage_tokens: [1, 4, dim],
    'rope_embed.periods': [periods],
  };
  if (qkvBias) {
    for (let index = 0; index < depth; index++) shapes[`blocks.${index}.attn.qkv.bias_mask`] = [3 * dim];
  }
  return shapes;
}

const trainingNorm = (dim: number): Shapes => ({
  'local_cls_norm.weight': [dim],
  'local_cls_norm.bias': [dim],
});
const recognise = (shapes: Shapes, hints: Parameters<typeof recogniseDinov3>[1] = {}) =>
  recogniseDinov3(unread(shapes), hints);

describe('recogniseDinov3', () => {
  it.each([
    ['vit_small', dinov3(384, 12), 6],
    ['vit_small_plus', dinov3(384, 12, { mlp: gatedMlp(384, 1536) }), 6],
    ['vit_base', dinov3(768, 12), 12],
    ['vit_large', dinov3(1024, 24), 16],
    ['vit_large_plus', dinov3(1024, 24, { mlp: gatedMlp(1024, 4096) }), 16],
    ['vit_huge_plus', dinov3(1280, 32, { mlp: gatedMlp(1280, 5120) }), 20],
    [
      'vit_7b',
      {
        ...dinov3(4096, 40, { mlp: gatedMlp(4096, 8192), qkvBias: false, periods: 32 }),
        ...trainingNorm(4096),
      },
      32,
    ],
  ])(
    'names the published %s by its tensors, and builds its graph without reading one',
    (variant, shapes, heads) => {
      const architecture = recognise(shapes);
      expect(architecture).toMatchObject({ family: 'dinov3', variant, patchSize: 16, multipleOf: 16, heads });
      architecture!.build(new GraphBuilder({ name: variant }));
    },
  );

  it('counts the heads by the stored periods, and otherwise asks or knows', () => {
    expect(recognise(dinov3(96, 2, { periods: 8 }))).toMatchObject({ variant: 'vit_d96_l2_h3', heads: 3 });
    const unrotated = (dim: number) => without(dinov3(dim, 2), 'rope_embed.periods');
    expect(recognise(unrotated(96), { heads: 4 })?.heads).toBe(4);
    expect(recognise(unrotated(4096))?.heads).toBe(32);
    expect(() => recognise(unrotated(96))).toThrow(
      'the width 96 does not tell the number of attention heads',
    );
    expect(() => recognise(unrotated(90), { heads: 3 })).toThrow('30 for each, which is no multiple of 4');
    expect(() => recognise(dinov3(96, 2, { periods: 8 }), { heads: 6 })).toThrow(
      'rope_embed.periods is [8], which stands for 3 attention heads and not for 6: leave the heads out',
    );
    expect(() => recognise(dinov3(96, 2, { periods: 7 }))).toThrow('which does not divide the width 96');
  });

  it('understands a last norm of its own for CLS, and no registers', () => {
    const untied = { ...dinov3(384, 12), 'cls_norm.weight': [384], 'cls_norm.bias': [384] };
    for (const shapes of [untied, without(dinov3(384, 12), 'storage_tokens')]) {
      recognise(shapes)!.build(new GraphBuilder({ name: 'vit_small' }));
    }
    expect(() => recognise(without(untied, 'cls_norm.bias'))).toThrow('there is no cls_norm.bias');
  });

  it('refuses the model for satellite images, whose normalisation is another', () => {
    expect(() => recognise({ ...dinov3(1024, 24), ...trainingNorm(1024) })).toThrow(
      "the tensors are those of DINOv3's vit_large for satellite images (SAT-493M)",
    );
    expect(recognise({ ...dinov3(384, 12), ...trainingNorm(384) })?.variant).toBe('vit_small');
  });

  it('names what is missing, what is of a wrong shape and what has no place', () => {
    expect(() => recognise(without(dinov3(384, 12), 'blocks.2.norm1.bias'))).toThrow(
      'the tensors look like vit_small/16 of DINOv3, but there is no blocks.2.norm1.bias',
    );
    expect(() => recognise({ ...dinov3(384, 12), storage_tokens: [1, 4, 1] })).toThrow(
      'storage_tokens is [1, 4, 1] and not [1, 4, 384]',
    );
    expect(() => recognise({ ...dinov3(384, 12), 'stages.0.bias': [4] })).toThrow(
      'stages.0.bias has no place in it',
    );
    expect(() => recognise({ ...dinov3(384, 12), 'blocks.0.attn.qkv.bias_mask': [384] })).toThrow(
      'blocks.0.attn.qkv.bias_mask is [384] and blocks.0.attn.qkv.bias is [1152]: use a complete checkpoint',
    );
  });
});

describe('withMaskedBiases', () => {
  const masked = (bias: LazyTensor, mask: number[]) => {
    const factors: LazyTensor = { ...counting([mask.length]), load: async () => Float32Array.from(mask) };
    const state = new Map([
      ['blocks.0.attn.qkv.bias', bias],
      ['blocks.0.attn.qkv.bias_mask', factors],
    ]);
    return withMaskedBiases(state);
  };

  it('multiplies a bias by its mask when it is read', async () => {
    const state = masked(counting([6], 1), [1, 1, 0, 0, 1, 1]);
    expect([...state.keys()]).toEqual(['blocks.0.attn.qkv.bias']);
    expect([...(await state.get('blocks.0.attn.qkv.bias')!.load())]).toEqual([1, 2, 0, 0, 5, 6]);
  });

  it('takes a bias away whatever it holds, and refuses a mask that nobody filled', async () => {
    const nothing: LazyTensor = { ...counting([3]), load: async () => Float32Array.of(1, NaN, 3) };
    const bias = masked(nothing, [1, 0, 1]).get('blocks.0.attn.qkv.bias')!;
    expect([...(await bias.load())]).toEqual([1, 0, 3]);
    const unfilled = masked(counting([3]), [NaN, NaN, NaN]).get('blocks.0.attn.qkv.bias')!;
    await expect(unfilled.load()).rejects.toThrow(CheckpointError);
    await expect(unfilled.load()).rejects.toThrow('blocks.0.attn.qkv.bias_mask holds no numbers');
  });
});
