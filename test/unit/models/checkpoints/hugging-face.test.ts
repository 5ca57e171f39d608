import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openCheckpoint } from '#dino/models/checkpoints/open-checkpoint.js';
import { safetensors } from './builders.js';
import { EXPECTED, fixture, readTensors, withCheckpoint } from './fixtures.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hugging-face-'));
  write('config.json', { model_type: 'vit', hidden_size: 384, sizes: [224, 320], label: { 0: 'cat' } });
});

afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, content: unknown): void {
  const isBytes = content instanceof Uint8Array;
  writeFileSync(join(folder, name), isBytes ? content : JSON.stringify(content));
}

function shard(name: string, value: number): Buffer {
  const header = { [name]: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } };
  return safetensors(header, Buffer.from(Float32Array.of(value).buffer));
}

test('a folder with one safetensors file gives its tensors and its configuration', async () => {
  copyFileSync(fixture('dtypes.safetensors'), join(folder, 'model.safetensors'));
  await withCheckpoint(folder, async (checkpoint) => {
    expect(checkpoint.format).toBe('huggingface');
    expect(await readTensors(checkpoint)).toEqual(EXPECTED['dtypes.safetensors']);
    expect(Object.fromEntries(checkpoint.values)).toEqual({
      'config.model_type': 'vit',
      'config.hidden_size': 384,
      'config.sizes.0': 224,
      'config.sizes.1': 320,
      'config.label.0': 'cat',
    });
  });
});

test('a folder with a PyTorch file is read too, safetensors first', async () => {
  copyFileSync(fixture('views.pth'), join(folder, 'pytorch_model.bin'));
  expect(await withCheckpoint(folder, readTensors)).toEqual(EXPECTED['views.pth']);
  write('model.safetensors', shard('only', 1));
  expect(Object.keys(await withCheckpoint(folder, readTensors))).toEqual(['only']);
});

test('tensors of several files are taken from where the index says', async () => {
  write('model-00001-of-00002.safetensors', shard('a', 1));
  write('model-00002-of-00002.safetensors', shard('b', 2));
  const weight_map = { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' };
  write('model.safetensors.index.json', { metadata: { total_size: 8 }, weight_map });
  expect(await withCheckpoint(folder, readTensors)).toEqual({
    a: { dtype: 'float32', shape: [1], values: [1] },
    b: { dtype: 'float32', shape: [1], values: [2] },
  });
});

test.each(['../secret.safetensors', '/etc/passwd', '..', 'a/b.safetensors', 'a\\b', 'x\0.safetensors', ''])(
  'an index that names the file %j is refused, and the file is not opened',
  async (name) => {
    write('model.safetensors.index.json', { weight_map: { a: name } });
    await expect(openCheckpoint(folder)).rejects.toThrow('which is not in its folder; it was not opened');
  },
);

test.each([
  ['a missing file', { weight_map: { a: 'gone.safetensors' } }, 'There is no '],
  ['a missing tensor', { weight_map: { z: 'one.safetensors' } }, 'the tensor z is not in one.safetensors'],
  ['no map', { weights: {} }, 'has no weight_map'],
  ['something else than JSON', Buffer.from('{'), 'it is not JSON'],
  ['brackets without end', Buffer.from('['.repeat(1_000_000)), 'it is not JSON'],
])('an index with %s is named', async (_, index, message) => {
  write('one.safetensors', shard('a', 1));
  write('model.safetensors.index.json', index);
  await expect(openCheckpoint(folder)).rejects.toThrow(message);
});

test('what is missing in a folder is named', async () => {
  await expect(openCheckpoint(folder)).rejects.toThrow('has no model.safetensors or pytorch_model.bin');
  rmSync(join(folder, 'config.json'));
  write('model.safetensors', shard('a', 1));
  await expect(openCheckpoint(folder)).rejects.toThrow('has no config.json');
});

test('a configuration that is nested without end is named', async () => {
  write('model.safetensors', shard('a', 1));
  write('config.json', Buffer.from(`${'{"a":'.repeat(500)}1${'}'.repeat(500)}`));
  await expect(openCheckpoint(folder)).rejects.toThrow('nested deeper');
});
