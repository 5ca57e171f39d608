import { describe, expect, it } from 'vitest';
import { withOfficialNames } from '#dino/models/architectures/hugging-face-names.js';
import { recognise } from '#dino/models/architectures/recognise.js';
import { CheckpointError } from '#dino/models/checkpoints/checkpoint-error.js';
import { counting, unread, without, type Shapes } from './states.js';

const D = 4;
const square = [D, D];
const both = (name: string, weight: readonly number[]): Shapes => ({
  [`${name}.weight`]: weight,
  [`${name}.bias`]: weight.slice(0, 1),
});
const embeddings: Shapes = {
  'embeddings.cls_token': [1, 1, D],
  'embeddings.mask_token': [1, 1, D],
};
const positioned: Shapes = {
  ...embeddings,
  'embeddings.position_embeddings': [1, 5, D],
  ...both('embeddings.patch_embeddings.projection', [D, 3, 2, 2]),
  ...both('layernorm', [D]),
};
const attention: Shapes = {
  ...both('encoder.layer.0.attention.attention.query', square),
  ...both('encoder.layer.0.attention.attention.key', square),
  ...both('encoder.layer.0.attention.attention.value', square),
  ...both('encoder.layer.0.attention.output.dense', square),
};

const OFFICIAL = ['cls_token', 'mask_token', 'patch_embed.proj', 'blocks.0.attn.qkv', 'blocks.0.attn.proj'];
const NORMS = ['blocks.0.norm1', 'blocks.0.norm2', 'norm'];
const SCALES = ['blocks.0.ls1.gamma', 'blocks.0.ls2.gamma'];

/** Names without `.weight` and `.bias`, each once. */
function layers(shapes: Shapes): string[] {
  const names = [...withOfficialNames(unread(shapes)).keys()];
  return [...new Set(names.map((name) => name.replace(/\.(weight|bias)$/, '')))].sort();
}

const v3 = (mlp: Shapes): Shapes => ({
  ...embeddings,
  'embeddings.register_tokens': [1, 4, D],
  ...both('embeddings.patch_embeddings', [D, 3, 2, 2]),
  ...both('norm', [D]),
  ...both('layer.0.norm1', [D]),
  ...both('layer.0.attention.q_proj', square),
  'layer.0.attention.k_proj.weight': square,
  ...both('layer.0.attention.v_proj', square),
  ...both('layer.0.attention.o_proj', square),
  'layer.0.layer_scale1.lambda1': [D],
  ...both('layer.0.norm2', [D]),
  ...mlp,
  'layer.0.layer_scale2.lambda1': [D],
});

const vit: Shapes = {
  ...positioned,
  ...attention,
  ...both('encoder.layer.0.layernorm_before', [D]),
  ...both('encoder.layer.0.layernorm_after', [D]),
  ...both('encoder.layer.0.intermediate.dense', [8, D]),
  ...both('encoder.layer.0.output.dense', [D, 8]),
};

describe('withOfficialNames', () => {
  it('gives a ViT the names of DINO and leaves its pooler out', () => {
    const mlp = ['blocks.0.mlp.fc1', 'blocks.0.mlp.fc2'];
    expect(layers({ ...vit, ...both('pooler.dense', square) })).toEqual(
      [...OFFICIAL, ...NORMS, ...mlp, 'pos_embed'].sort(),
    );
  });

  it('gives a Dinov2 and a Dinov2WithRegisters the names of DINOv2', () => {
    const common: Shapes = {
      ...positioned,
      ...attention,
      ...both('encoder.layer.0.norm1', [D]),
      ...both('encoder.layer.0.norm2', [D]),
      'encoder.layer.0.layer_scale1.lambda1': [D],
      'encoder.layer.0.layer_scale2.lambda1': [D],
    };
    const plain = {
      ...common,
      ...both('encoder.layer.0.mlp.fc1', [8, D]),
      ...both('encoder.layer.0.mlp.fc2', [D, 8]),
    };
    const expected = [...OFFICIAL, ...NORMS, ...SCALES, 'pos_embed'];
    expect(layers(plain)).toEqual([...expected, 'blocks.0.mlp.fc1', 'blocks.0.mlp.fc2'].sort());
    const gated = {
      ...common,
      'embeddings.register_tokens': [1, 4, D],
      ...both('encoder.layer.0.mlp.weights_in', [16, D]),
      ...both('encoder.layer.0.mlp.weights_out', [D, 8]),
    };
    expect(layers(gated)).toEqual(
      [...expected, 'register_tokens', 'blocks.0.mlp.w12', 'blocks.0.mlp.w3'].sort(),
    );
  });

  it('gives a DINOv3ViT the names of DINOv3, whose gate is a layer of its own', () => {
    const down = both('layer.0.mlp.down_proj', [D, 8]);
    const up = both('layer.0.mlp.up_proj', [8, D]);
    const expected = [...OFFICIAL, ...NORMS, ...SCALES, 'storage_tokens'];
    expect(layers(v3({ ...up, ...down }))).toEqual(
      [...expected, 'blocks.0.mlp.fc1', 'blocks.0.mlp.fc2'].sort(),
    );
    const gated = v3({ ...up, ...down, ...both('layer.0.mlp.gate_proj', [8, D]) });
    const official = withOfficialNames(unread(gated));
    for (const [ours, theirs] of [
      ['w1', 'gate'],
      ['w2', 'up'],
      ['w3', 'down'],
    ] as const) {
      expect(official.get(`blocks.0.mlp.${ours}.weight`)?.shape).toEqual(
        gated[`layer.0.mlp.${theirs}_proj.weight`],
      );
    }
    expect(layers(gated)).toEqual(
      [...expected, 'blocks.0.mlp.w1', 'blocks.0.mlp.w2', 'blocks.0.mlp.w3'].sort(),
    );
  });

  it.each(['vit.', 'dinov2.', 'dinov2_with_registers.', 'dinov3_vit.', 'backbone.'])(
    'takes %s off the names of a model with a head, and the head away',
    (prefix) => {
      const wrapped = Object.fromEntries(Object.entries(vit).map(([name, shape]) => [prefix + name, shape]));
      expect(layers({ ...wrapped, ...both('classifier', [10, D]) })).toEqual(layers(vit));
    },
  );

  it('joins queries, keys and values in this order, when they are read', async () => {
    const state = new Map([
      ['embeddings.cls_token', counting([1, 1, 2])],
      ['layer.3.attention.v_proj.weight', counting([2, 2], 20)],
      ['layer.3.attention.k_proj.weight', counting([2, 2], 10)],
      ['layer.3.attention.q_proj.weight', counting([2, 2], 0)],
      ['layer.3.attention.v_proj.bias', counting([2], 7)],
      ['layer.3.attention.q_proj.bias', counting([2], 5)],
    ]);
    const official = withOfficialNames(state);
    const weight = official.get('blocks.3.attn.qkv.weight')!;
    expect(weight.shape).toEqual([6, 2]);
    expect([...(await weight.load())]).toEqual([0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]);
    const bias = official.get('blocks.3.attn.qkv.bias')!;
    expect(bias.shape).toEqual([6]);
    expect([...(await bias.load())], 'the keys have no bias').toEqual([5, 6, 0, 0, 7, 8]);
  });

  it('gives no bias where none of the three has one', () => {
    const unbiased = without(v3({}), 'layer.0.attention.q_proj.bias', 'layer.0.attention.v_proj.bias');
    const names = [...withOfficialNames(unread(unbiased)).keys()];
    expect(names.filter((name) => name.includes('attn.qkv'))).toEqual(['blocks.0.attn.qkv.weight']);
  });

  it('returns every other state as it is', () => {
    const state = unread({ cls_token: [1, 1, D], 'blocks.0.attn.qkv.weight': [12, D] });
    expect(withOfficialNames(state)).toBe(state);
  });

  it('says which projection is missing or does not fit', () => {
    const keyless = without(vit, 'encoder.layer.0.attention.attention.key.weight');
    expect(() => layers(keyless)).toThrow(CheckpointError);
    expect(() => layers(keyless)).toThrow(
      'there is encoder.layer.0.attention.attention.query.weight, but not the weights of queries, keys and values all three',
    );
    expect(() => layers({ ...vit, 'encoder.layer.0.attention.attention.value.weight': [D, 2] })).toThrow(
      'encoder.layer.0.attention.attention.value.weight is [4, 2] and not [4, 4] as encoder.layer.0.attention.attention.query.weight',
    );
  });

  it('leaves tensors without a counterpart in, so that they are reported', () => {
    const odd = { ...vit, 'encoder.layer.0.adapter.weight': [D] };
    expect(() => recognise(unread(odd), { heads: 2 })).toThrow('blocks.0.adapter.weight has no place in it');
  });
});
