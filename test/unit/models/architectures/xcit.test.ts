import { describe, expect, it } from 'vitest';
import { recogniseXcit } from '#dino/models/architectures/xcit.js';
import { GraphBuilder } from '#dino/models/onnx/graph-builder.js';
import { xcit } from './convolutional-states.js';
import { unread, without, type Shapes } from './states.js';

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
