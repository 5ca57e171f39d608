import { describe, expect, it } from 'vitest';
import { recogniseDinov2 } from '#dino/models/architectures/dinov2.js';
import { recogniseVit } from '#dino/models/architectures/vit.js';
import { CheckpointError } from '#dino/models/checkpoints/checkpoint-error.js';
import { GraphBuilder } from '#dino/models/onnx/graph-builder.js';
import { plainMlp, transformer, unread, without, type Shapes } from './states.js';

function dinov2(dim: number, depth: number, options: { registers?: number; mlp?: Shapes } = {}): Shapes {
  const { registers = 0, mlp = plainMlp(dim, 4 * dim) } = options;
  return {
    ...transformer({ dim, depth, patchSize: 14, mlp }),
    pos_embed: [1, 37 * 37 + 1, dim],
    ...(registers > 0 && { register_tokens: [1, registers, dim] }),
  };
}

const joined = (dim: number, width: number): Shapes => ({
  'mlp.w12.weight': [2 * width, dim],
  'mlp.w12.bias': [2 * width],
  'mlp.w3.weight': [dim, width],
  'mlp.w3.bias': [dim],
});

const recognise = (shapes: Shapes, heads?: number) =>
  recogniseDinov2(unread(shapes), heads === undefined ? {} : { heads });

describe('recogniseDinov2', () => {
  it.each([
    ['vit_small', dinov2(384, 12), 6],
    ['vit_base_reg4', dinov2(768, 12, { registers: 4 }), 12],
    ['vit_large', dinov2(1024, 24), 16],
    ['vit_giant2', dinov2(1536, 40, { mlp: joined(1536, 4096) }), 24],
    ['vit_giant2_reg4', dinov2(1536, 40, { mlp: joined(1536, 4096), registers: 4 }), 24],
  ])(
    'names the published %s by its tensors, and builds its graph without reading one',
    (variant, shapes, heads) => {
      const architecture = recognise(shapes);
      expect(architecture).toMatchObject({ family: 'dinov2', variant, patchSize: 14, multipleOf: 14, heads });
      architecture!.build(new GraphBuilder({ name: variant }));
    },
  );

  it('tells widths that nobody named, with the heads it is given', () => {
    expect(recognise(dinov2(48, 2), 3)?.variant).toBe('vit_d48_l2_h3');
    expect(recognise(dinov2(128, 2, { registers: 2 }))).toMatchObject({
      variant: 'vit_d128_l2_h2_reg2',
      heads: 2,
    });
    expect(() => recognise(dinov2(48, 2))).toThrow(
      'the width 48 does not tell the number of attention heads: say how many there are',
    );
    expect(() => recognise(dinov2(48, 2), 5)).toThrow(CheckpointError);
  });

  it("finds the blocks in the training's chunks", () => {
    const chunked = Object.entries(dinov2(384, 12)).map(([name, shape]): [string, readonly number[]] => [
      name.replace(/^blocks\.(\d+)\./, (_, index) => `blocks.${Math.floor(Number(index) / 3)}.${index}.`),
      shape,
    ]);
    expect(recognise(Object.fromEntries(chunked))).toMatchObject({ variant: 'vit_small', depth: 12 });
  });

  it("leaves DINO's own ViTs and DINOv3 to others", () => {
    const plain = Object.fromEntries(
      Object.entries(dinov2(384, 12)).filter(([name]) => !name.includes('.ls')),
    );
    expect(recognise(plain)).toBeUndefined();
    expect(recogniseVit(unread(plain), {})?.variant).toBe('vit_small');
    expect(recogniseVit(unread(dinov2(384, 12)), {})).toBeUndefined();
    expect(recognise(without(dinov2(384, 12), 'pos_embed'))).toBeUndefined();
  });

  it('names what is missing, what is of a wrong shape and what has no place', () => {
    expect(() => recognise(without(dinov2(384, 12), 'blocks.7.ls2.gamma'))).toThrow(
      'the tensors look like vit_small/14 of DINOv2, but there is no blocks.7.ls2.gamma: use a complete checkpoint, or name its architecture',
    );
    expect(() => recognise({ ...dinov2(384, 12, { registers: 4 }), register_tokens: [1, 4, 380] })).toThrow(
      'register_tokens is [1, 4, 380] and not [1, 4, 384]',
    );
    expect(() => recognise({ ...dinov2(384, 12), 'blocks.3.mlp.w3.bias': [384] })).toThrow(
      'blocks.3.mlp.w3.bias has no place in it',
    );
    expect(() => recognise({ ...dinov2(384, 12), pos_embed: [1, 1371, 384] })).toThrow(
      'pos_embed is [1, 1371, 384], which is not a square grid of patches and one more',
    );
  });
});
