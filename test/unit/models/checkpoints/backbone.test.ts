import { expect, test } from 'vitest';
import { backboneOf } from '#dino/models/checkpoints/backbone.js';
import type { Checkpoint } from '#dino/models/checkpoints/open-checkpoint.js';
import type { LazyTensor } from '#dino/models/checkpoints/tensor.js';
import { fixture, withCheckpoint } from './fixtures.js';

/** A checkpoint that has tensors of these names; each holds its own number. */
function checkpointOf(...names: string[]): Checkpoint {
  const tensors = names.map((name, i): [string, LazyTensor] => [
    name,
    { dtype: 'float32', shape: [1], load: () => Promise.resolve(Float32Array.of(i)) },
  ]);
  return { format: 'pytorch', tensors: new Map(tensors), values: new Map(), close: () => Promise.resolve() };
}

function namesOf(...names: string[]): string[] {
  return [...backboneOf(checkpointOf(...names)).keys()];
}

const OWN = ['cls_token', 'blocks.0.norm1.weight', 'norm.weight'];

test.each([
  '',
  'teacher.',
  'model.',
  'state_dict.',
  'module.',
  'backbone.',
  'teacher.module.backbone.',
  'teacher.backbone.module.',
  'student._orig_mod.module.backbone.',
  'module.module.backbone.backbone.',
  'model.teacher.backbone.',
  'state_dict.model.',
])('the names behind the prefix "%s" are the official ones', (prefix) => {
  expect(namesOf(...OWN.map((name) => prefix + name))).toEqual(OWN);
});

test.each(['vit.', 'dinov2.', 'dinov3_vit.'])(
  'the network inside a classifier of transformers (%s) is found',
  (prefix) => {
    expect(namesOf(`${prefix}embeddings.cls_token`, 'classifier.weight')).toEqual(['embeddings.cls_token']);
  },
);

test('heads, losses and optimizers are left out', () => {
  expect(namesOf('norm.weight', 'head.weight', 'fc.bias')).toEqual(['norm.weight']);
  expect(
    namesOf(
      'teacher.backbone.norm.weight',
      'teacher.dino_head.last_layer.weight',
      'optimizer.state.0.step',
      'dino_loss.center',
    ),
  ).toEqual(['norm.weight']);
  expect(namesOf('model.norm.weight', 'optimizer.state.0.exp_avg')).toEqual(['norm.weight']);
});

test('the teacher is meant unless the student is asked for', async () => {
  const checkpoint = checkpointOf('student.module.backbone.norm.weight', 'teacher.backbone.norm.weight');
  const numberOf = async (key?: 'teacher' | 'student') =>
    (await backboneOf(checkpoint, { key }).get('norm.weight')!.load())[0];
  expect(await numberOf()).toBe(1);
  expect(await numberOf('teacher')).toBe(1);
  expect(await numberOf('student')).toBe(0);
});

test('a real training checkpoint gives the backbone of either network', async () => {
  await withCheckpoint(fixture('training.pth'), async (checkpoint) => {
    for (const key of ['teacher', 'student'] as const) {
      const backbone = backboneOf(checkpoint, { key });
      expect([...backbone.keys()]).toEqual(['0.weight', '0.bias', '1.weight', '1.bias']);
      expect(await backbone.get('1.weight')!.load()).toHaveLength(2);
    }
  });
});

test('a network that has a part called model keeps it', () => {
  expect(namesOf('embeddings.cls_token', 'model.layer.0.norm1.weight')).toHaveLength(2);
});

test.each([
  [['model.norm.weight', 'state_dict.norm.weight'], 'has model, state_dict side by side'],
  [['module.norm.weight', 'backbone.norm.weight'], 'has module, backbone side by side'],
  [['teacher.norm.weight', 'norm.weight'], 'has teacher, norm side by side'],
  [['backbone.norm.weight', 'norm.weight'], 'has backbone, norm side by side'],
])('%j is ambiguous', (names, message) => {
  expect(() => namesOf(...names)).toThrow(message);
});

test('a network that is not there is named, with what is', () => {
  expect(() => backboneOf(checkpointOf('student.norm.weight'), { key: 'teacher' })).toThrow(
    'has no teacher; it holds: student.',
  );
  expect(() => backboneOf(checkpointOf('norm.weight'), { key: 'student' })).toThrow(
    'has no student; it holds: norm.',
  );
});

test('a checkpoint without a backbone says what it holds', () => {
  expect(() => namesOf()).toThrow('has no tensors of a backbone; it holds: nothing.');
  expect(() => namesOf('teacher.head.weight')).toThrow('has no tensors of a backbone; it holds: teacher.');
});
