import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { recognise } from '#dino/models/architectures/recognise.js';
import { backboneOf } from '#dino/models/checkpoints/backbone.js';
import { openCheckpoint, type Checkpoint } from '#dino/models/checkpoints/open-checkpoint.js';
import { GraphBuilder, type Precision } from '#dino/models/onnx/graph-builder.js';
import { writeModel } from '#dino/models/onnx/write-model.js';
import { hashedPixels } from '../support/hashed-pixels.js';

// Made by scripts/golden_checkpoints.py: tiny checkpoints, and beside each what PyTorch makes of the hashed pixels.
const folder = new URL('checkpoints/', import.meta.url).pathname;
const EXPECTED = '.expected.safetensors';
const cases = (await readdir(folder))
  .filter((name) => name.endsWith(EXPECTED))
  .map((name) => name.slice(0, -EXPECTED.length));

/** Smallest cosine of an image's output to PyTorch's, and largest difference of a single value. */
const LIMITS: Record<Precision, { readonly cosine: number; readonly difference: number }> = {
  fp32: { cosine: 0.99999, difference: 1e-3 },
  fp16: { cosine: 0.9995, difference: Infinity },
  int8: { cosine: 0.99, difference: Infinity },
};
/** Axis of the patches in the outputs that have one; every k-th patch is stored. */
const PATCH_AXIS: Record<string, number> = { patch_tokens: 1, keys: 1, attention: 2 };

interface Values {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Every stride-th position of an axis. */
function every({ shape, data }: Values, axis: number, stride: number): Values {
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const length = shape[axis]!;
  const kept = data.filter((_, index) => (Math.floor(index / inner) % length) % stride === 0);
  return { shape: shape.with(axis, Math.ceil(length / stride)), data: kept };
}

function cosine(a: Float32Array, b: Float32Array): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return dot / Math.sqrt(aa * bb);
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((worst, value, index) => Math.max(worst, Math.abs(value - b[index]!)), 0);
}

/** The metadata of a safetensors file: how to import the checkpoint, and the strides. */
async function metadataOf(path: string): Promise<Record<string, string>> {
  const file = await readFile(path);
  const header = file.subarray(8, 8 + Number(file.readBigUInt64LE(0))).toString();
  return JSON.parse(header).__metadata__;
}

it('computes the pixels that Python computes', () => {
  // scripts/tests/test_random_checkpoints.py holds the same.
  expect([...hashedPixels(2, 2, 2)]).toEqual([
    0, 78, 170, 8, 56, 172, 8, 81, 180, 76, 60, 70, 25, 175, 117, 128, 166, 203, 52, 166, 202, 50, 115, 167,
  ]);
});

describe.each(cases)('the tiny checkpoint %s', (name) => {
  let temporary: string;
  let metadata: Record<string, string>;
  let checkpoint: Checkpoint;
  let expected: Checkpoint;
  const architecture = () =>
    recognise(backboneOf(checkpoint), {
      ...(metadata.heads !== undefined && { heads: Number(metadata.heads) }),
      config: checkpoint.values,
    });
  beforeAll(async () => {
    const path = join(folder, name + EXPECTED);
    metadata = await metadataOf(path);
    temporary = await mkdtemp(join(tmpdir(), 'dino-architectures-'));
    [checkpoint, expected] = [await openCheckpoint(join(folder, metadata.file!)), await openCheckpoint(path)];
  });
  afterAll(async () => {
    await checkpoint.close();
    await expected.close();
    await rm(temporary, { recursive: true, force: true });
  });

  it('is recognised by its tensors', () => {
    const { family, patchSize, outputs } = architecture();
    expect({ family, patchSize }).toEqual({
      family: metadata.family,
      patchSize: Number(metadata.patch_size),
    });
    const stored = [...expected.tensors.keys()].map((key) => key.split('.')[1]);
    expect([...outputs].sort()).toEqual([...new Set(stored)].sort());
  });

  it.each(['fp32', 'fp16', 'int8'] as const)('gives what PyTorch gives, as %s', async (precision) => {
    const recognised = architecture();
    const { variant, outputs } = recognised;
    const graph = new GraphBuilder({ name: variant, precision });
    recognised.build(graph);
    const { path } = await writeModel(graph, await mkdtemp(join(temporary, precision)));
    const session = await InferenceSession.create(path, { executionProviders: ['cpu'] });
    for (const size of metadata.sizes!.split(' ')) {
      const [height, width] = size.split('x').map(Number) as [number, number];
      const batch = expected.tensors.get(`${size}.embedding`)!.shape[0]!;
      const pixels = new Tensor('uint8', hashedPixels(batch, height, width), [batch, height, width, 3]);
      const answer = await session.run({ pixels });
      for (const output of outputs) {
        const { dims, data } = answer[output]!;
        const axis = PATCH_AXIS[output];
        let actual: Values = { shape: dims, data: data as Float32Array };
        if (axis !== undefined) actual = every(actual, axis, Number(metadata[`${size}.stride`]));
        const tensor = expected.tensors.get(`${size}.${output}`)!;
        const wanted = await tensor.load();
        const where = `${output} at ${size}`;
        expect(actual.shape, where).toEqual(tensor.shape);
        const { cosine: closest, difference } = LIMITS[precision];
        expect(cosine(actual.data, wanted), where).toBeGreaterThanOrEqual(closest);
        expect(largestDifference(actual.data, wanted), where).toBeLessThanOrEqual(difference);
      }
    }
    await session.release();
  });
});
