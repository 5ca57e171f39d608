import { describe, expect, it } from 'vitest';
import { recogniseResnet } from '#dino/models/architectures/resnet.js';
import { CheckpointError } from '#dino/models/checkpoints/checkpoint-error.js';
import { GraphBuilder } from '#dino/models/onnx/graph-builder.js';
import { resnet } from './convolutional-states.js';
import { unread, without, type Shapes } from './states.js';

const recognise = (shapes: Shapes) => recogniseResnet(unread(shapes));
const resnet50 = resnet([3, 4, 6, 3]);

describe('recogniseResnet', () => {
  it.each([
    ['resnet50', resnet50, 2048, 16],
    ['resnet101', resnet([3, 4, 23, 3]), 2048, 33],
    ['resnet_w16_l1_2_1_1', resnet([1, 2, 1, 1], 16), 512, 5],
  ])(
    'names %s by its tensors, and builds its graph without reading one',
    (variant, shapes, embedDim, depth) => {
      const architecture = recognise(shapes)!;
      expect(architecture).toMatchObject({
        family: 'resnet',
        variant,
        patchSize: 32,
        multipleOf: 32,
        embedDim,
        depth,
        outputs: ['embedding', 'patch_tokens'],
      });
      expect(architecture.heads).toBeUndefined();
      architecture.build(new GraphBuilder({ name: variant }));
    },
  );

  it('leaves the classifier out', () => {
    const classified = { ...resnet50, 'fc.weight': [1000, 2048], 'fc.bias': [1000] };
    expect(recognise(classified)?.variant).toBe('resnet50');
  });

  it('names what is missing, what is of a wrong shape and what has no place', () => {
    expect(() =>
      recognise(without(resnet50, 'layer2.1.bn2.running_var', 'layer4.0.downsample.0.weight')),
    ).toThrow(
      'the tensors look like resnet50, but there is no layer2.1.bn2.running_var, layer4.0.downsample.0.weight: use a complete checkpoint, or name its architecture',
    );
    // As wide as in resnext50, whose groups no name tells.
    expect(() => recognise({ ...resnet50, 'layer1.0.conv2.weight': [128, 4, 3, 3] })).toThrow(
      'layer1.0.conv2.weight is [128, 4, 3, 3] and not [64, 64, 3, 3]',
    );
    expect(() => recognise({ ...resnet50, 'projector.weight': [128, 2048] })).toThrow(
      'projector.weight has no place in it',
    );
  });

  it('misses the first block of a stage that is not there', () => {
    const cut = Object.fromEntries(Object.entries(resnet50).filter(([name]) => !name.startsWith('layer4.')));
    expect(() => recognise(cut)).toThrow('there is no layer4.0.conv1.weight');
  });

  it('refuses the basic blocks of a small ResNet', () => {
    const basic = Object.entries(resnet([2, 2, 2, 2])).filter(([name]) => !/conv3|bn3/.test(name));
    expect(() => recognise(Object.fromEntries(basic))).toThrow(CheckpointError);
    expect(() => recognise(Object.fromEntries(basic))).toThrow(
      'this is a ResNet of 2, 2, 2, 2 basic blocks: only those of bottlenecks, such as resnet50, can be imported',
    );
  });

  it('leaves other networks to others', () => {
    expect(recognise({ 'patch_embed.proj.weight': [384, 3, 16, 16] })).toBeUndefined();
    expect(recognise({ 'conv1.weight': [64, 3, 7, 7] })).toBeUndefined();
  });
});
