import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openCheckpoint } from '#dino/models/checkpoints/open-checkpoint.js';
import { EXPECTED, fixture, readTensors, withCheckpoint } from './fixtures.js';

test.each(Object.keys(EXPECTED))('%s is read as PyTorch reads it', async (name) => {
  expect(await withCheckpoint(fixture(name), readTensors)).toEqual(EXPECTED[name]);
});

test.each([
  ['views.pth', 'pytorch'],
  ['views-legacy.pth', 'pytorch-legacy'],
  ['dtypes.safetensors', 'safetensors'],
])('%s is recognised by its content, whatever it is called', async (name, format) => {
  const folder = mkdtempSync(join(tmpdir(), 'checkpoint-'));
  try {
    const path = join(folder, 'download');
    copyFileSync(fixture(name), path);
    expect(await withCheckpoint(path, (checkpoint) => checkpoint.format)).toBe(format);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.each(['training.pth', 'training-legacy.pth'])(
  'the plain values of a training checkpoint %s are read beside its tensors',
  async (name) => {
    const values = await withCheckpoint(fixture(name), (checkpoint) => Object.fromEntries(checkpoint.values));
    expect(values).toMatchObject({
      epoch: 99,
      'args.arch': 'vit_small',
      'args.patch_size': 16,
      'args.output_dir': '/runs/first',
      'args.device': 'cuda:1',
      'args.global_crops_scale.0': 0.4,
      'args.global_crops_scale.1': 1,
      'args.seed': null,
      'args.use_fp16': true,
      'args.dtype': 'torch.float16',
      'dino_loss.size.1': 4,
      'optimizer.param_groups.0.lr': 0.0005,
      'history.loss.1': 3.25,
      'counts.a': 2,
      best: 0.125,
      steps: 2 ** 40,
      huge: (2n ** 80n).toString(),
      text: 'é \u{1f995}',
    });
  },
);

test('the metadata of a safetensors file are values', async () => {
  const values = await withCheckpoint(fixture('dtypes.safetensors'), (checkpoint) => checkpoint.values);
  expect([...values]).toEqual([['__metadata__.format', 'pt']]);
});

test('a tensor can be loaded again and again, and many at once', async () => {
  await withCheckpoint(fixture('views.pth'), async (checkpoint) => {
    const expected = EXPECTED['views.pth']!;
    const names = [...checkpoint.tensors.keys(), ...checkpoint.tensors.keys()];
    const loaded = await Promise.all(names.map((name) => checkpoint.tensors.get(name)!.load()));
    expect(loaded.map((values) => [...values])).toEqual(names.map((name) => expected[name]!.values));
  });
});

test.each([
  ['no-such-file.pth', 'There is no '],
  ['torchscript.pt', 'is a TorchScript program'],
  ['whole-network.pth', 'asks for torch.nn.modules.linear.Linear, which tensors do not need'],
  ['float8.pth', 'has a tensor of torch.float8_e4m3fn, which is not read'],
  ['expected.json', 'is not a checkpoint'],
])('%s is answered with what to do instead', async (name, message) => {
  await expect(openCheckpoint(fixture(name))).rejects.toThrow(message);
});
