import { describe, expect, it } from 'vitest';
import type { ArchitectureHints } from '#dino/models/architectures/architecture.js';
import { recognise } from '#dino/models/architectures/recognise.js';
import { CheckpointError } from '#dino/models/checkpoints/checkpoint-error.js';
import { resnet, xcit } from './convolutional-states.js';
import { plainMlp, transformer, unread, type Shapes } from './states.js';

/** A ViT of DINO v1: what the other families add is left out. */
function vit(dim: number, depth: number, patchSize: number): Shapes {
  const shapes = transformer({ dim, depth, patchSize, mlp: plainMlp(dim, 4 * dim) });
  const plain = Object.entries(shapes).filter(([name]) => !name.endsWith('.gamma'));
  return { ...Object.fromEntries(plain), pos_embed: [1, (224 / patchSize) ** 2 + 1, dim] };
}

const small = unread(vit(384, 12, 16));
const narrow = unread(vit(48, 2, 16));
const refusal = (hints: ArchitectureHints) => () => recognise(small, hints);

describe('recognise', () => {
  it('needs no hint for a published network', () => {
    expect(recognise(small, {})).toMatchObject({
      family: 'vit',
      variant: 'vit_small',
      patchSize: 16,
      heads: 6,
    });
  });

  it.each(['vit_small', 'vit_small_p16', 'deit_small'])('accepts that vit_small/16 is called %s', (arch) => {
    expect(recognise(small, { arch, patchSize: 16 }).variant).toBe('vit_small');
  });

  it('refuses a name that contradicts the tensors', () => {
    expect(refusal({ arch: 'vit_base' })).toThrow(CheckpointError);
    expect(refusal({ arch: 'vit_base' })).toThrow(
      'the tensors are those of vit_small/16, not of vit_base: leave the architecture out',
    );
    expect(refusal({ arch: 'vit_smal' })).toThrow('not of vit_smal: leave the architecture out');
    expect(refusal({ arch: 'vit_small_p8' })).toThrow('not of vit_small_p8: leave the architecture out');
  });

  it('refuses a patch size that contradicts the tensors', () => {
    expect(refusal({ patchSize: 8 })).toThrow(
      'the tensors are those of vit_small/16, not of patch size 8: leave it out',
    );
  });

  it('takes the heads of an unknown width from a hint, or from the configuration beside the tensors', () => {
    const config = new Map([['config.num_attention_heads', 4]]);
    expect(recognise(narrow, { config })).toMatchObject({ variant: 'vit_d48_l2_h4', heads: 4 });
    expect(recognise(narrow, { config, heads: 3 })).toMatchObject({ variant: 'vit_d48_l2_h3', heads: 3 });
    expect(() => recognise(narrow, {})).toThrow('the width 48 does not tell the number of attention heads');
  });

  it('refuses heads where the tensors tell that there are others, or none', () => {
    const small12 = unread(xcit({ dim: 384, depth: 12, heads: 8, patchSize: 16 }));
    expect(recognise(small12, { heads: 8 }).heads).toBe(8);
    expect(() => recognise(small12, { heads: 6 })).toThrow(
      'the tensors are those of xcit_small_12/16 with 8 attention heads, not 6: leave the number out',
    );
    expect(() => recognise(unread(resnet([3, 4, 6, 3])), { heads: 6 })).toThrow(
      'the tensors are those of resnet50/32 with no attention heads, not 6: leave the number out',
    );
  });

  it('names the first tensors of a network that it does not know', () => {
    const unknown = ['stages.0.weight', 'stages.0.bias', 'stages.1.weight', 'stages.1.bias', 'pool.weight'];
    const state = unread(Object.fromEntries(unknown.map((name) => [name, [8]])));
    expect(() => recognise(state, {})).toThrow(CheckpointError);
    expect(() => recognise(state, {})).toThrow(
      'the tensors are of a network that cannot be imported (stages.0.weight, stages.0.bias, stages.1.weight, stages.1.bias and 1 more); the ViTs of DINO, bottleneck ResNets, XCiT, DINOv2 and DINOv3 can',
    );
  });

  it('shows no control characters of a name, and not all of a long one', () => {
    const state = unread({ ['\u001b[31m' + 'x'.repeat(500)]: [8] });
    expect(() => recognise(state, {})).toThrow(/^[\x20-\x7e]{1,300}$/);
  });

  it('says when there is nothing to recognise', () => {
    expect(() => recognise(new Map(), {})).toThrow(
      'the checkpoint holds no tensors of a backbone: use one of a trained network',
    );
  });
});
