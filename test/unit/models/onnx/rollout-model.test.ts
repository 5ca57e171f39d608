import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { recognise } from '#dino/models/architectures/recognise.js';
import { backboneOf } from '#dino/models/checkpoints/backbone.js';
import { openCheckpoint } from '#dino/models/checkpoints/open-checkpoint.js';
import { sha256OfFile } from '#dino/models/file-hash.js';
import { ModelProtoSchema } from '#dino/models/onnx/generated/onnx_pb.js';
import { GraphBuilder } from '#dino/models/onnx/graph-builder.js';
import { importOnnx } from '#dino/models/onnx/surgery/import-onnx.js';
import { rolloutModel } from '#dino/models/onnx/surgery/rollout-model.js';
import { valueInfo } from '#dino/models/onnx/value-info.js';
import { writeModel } from '#dino/models/onnx/write-model.js';
import { hashedPixels } from '../../../support/hashed-pixels.js';
import { largestDifference } from './sessions.js';
import { temporaryFolder } from './temporary-folder.js';

const golden = new URL('../../../golden/', import.meta.url).pathname;
const files = await readdir(join(golden, 'onnx'));

async function imported(checkpoint: string, externalDataAbove?: number) {
  const opened = await openCheckpoint(join(golden, 'checkpoints', checkpoint));
  const architecture = recognise(backboneOf(opened), { config: opened.values });
  const graph = new GraphBuilder({ name: architecture.variant });
  architecture.build(graph);
  const { path } = await writeModel(graph, await temporaryFolder(), { externalDataAbove });
  await opened.close();
  return { path, blocks: architecture.depth, patchSize: architecture.patchSize };
}

async function derived(path: string, blocks: number): Promise<Uint8Array> {
  return rolloutModel(path, { blocks, sha256: await sha256OfFile(path) });
}

async function run(model: Uint8Array, folder: string, height: number, width: number) {
  const session = await InferenceSession.create(model, {
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
    extra: { session: { model_external_initializers_file_folder_path: folder } },
  });
  const pixels = new Tensor('uint8', hashedPixels(2, height, width), [2, height, width, 3]);
  return session.run({ pixels });
}

/** The same file with every softmax over tokens as an output, which is what the rollout is made of. */
async function attentionsOf(path: string, height: number, width: number) {
  const model = fromBinary(ModelProtoSchema, new Uint8Array(await readFile(path)));
  const names = model
    .graph!.node.filter(({ opType }) => opType === 'Softmax')
    .map(({ output }) => output[0]!);
  model.graph!.output.push(...names.map((name) => valueInfo(name, 'float32', ['b', 'h', 'n', 'n'])));
  const results = await run(toBinary(ModelProtoSchema, model), join(path, '..'), height, width);
  return names.map((name) => results[name]!);
}

/** Abnar & Zuidema 2020: the product of (mean of heads + I) / 2 over the blocks, whole matrices; its first row per image. */
function plainRollout(attentions: readonly { dims: readonly number[]; data: unknown }[]): Float32Array {
  const [batch, heads, n] = attentions[0]!.dims as [number, number, number];
  const rows = new Float32Array(batch * n);
  for (let image = 0; image < batch; image++) {
    let product = Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => Number(i === j)));
    for (const { data } of attentions) {
      const values = data as Float32Array;
      const mixed = product.map((_, i) =>
        Array.from({ length: n }, (_, j) => {
          let sum = 0;
          for (let head = 0; head < heads; head++) sum += values[((image * heads + head) * n + i) * n + j]!;
          return 0.5 * (sum / heads) + 0.5 * Number(i === j);
        }),
      );
      const before = product;
      product = mixed.map((row) =>
        Array.from({ length: n }, (_, j) => row.reduce((sum, weight, k) => sum + weight * before[k]![j]!, 0)),
      );
    }
    rows.set(product[0]!, image * n);
  }
  return rows;
}

describe('rolloutModel', () => {
  const checkpoints = ['vit-huggingface', 'dinov2-gated-registers-huggingface', 'dinov3.pth'];
  it.each(checkpoints)('adds what the attention of all blocks comes to: %s', async (checkpoint) => {
    const { path, blocks, patchSize } = await imported(checkpoint);
    const [height, width] = [3 * patchSize, 4 * patchSize];
    const attentions = await attentionsOf(path, height, width);
    expect(attentions).toHaveLength(blocks);
    const { dino_rollout: rollout } = await run(await derived(path, blocks), join(path, '..'), height, width);
    expect(rollout!.dims).toEqual([2, attentions[0]!.dims[2]]);
    const wanted = plainRollout(attentions);
    expect(largestDifference(rollout!.data as Float32Array, wanted)).toBeLessThan(1e-6);
  });

  it.each(files.filter((file) => file.endsWith('.onnx')))(
    "finds it in a file of somebody's: %s",
    async (file) => {
      const model = await importOnnx(join(golden, 'onnx', file));
      const { path } = await writeModel(model, await temporaryFolder());
      const { height, width } = model.fixedSize ?? { height: 24, width: 40 };
      const results = await run(await derived(path, model.depth), join(path, '..'), height, width);
      const [batch, tokens] = results.dino_rollout!.dims as [number, number];
      const patches = (height / 8) * (width / 8);
      const leading = file === 'registers-any-size.onnx' ? 5 : 1;
      expect([batch, tokens]).toEqual([2, patches + leading]);
      const rows = results.dino_rollout!.data as Float32Array;
      for (const row of [rows.subarray(0, tokens), rows.subarray(tokens)]) {
        expect(row.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
        // In two blocks a quarter stays where it is.
        expect(row[0]).toBeGreaterThan(0.25);
      }
      if (file === 'one-image.onnx') return;
      const wanted = plainRollout(await attentionsOf(path, height, width));
      expect(largestDifference(rows, wanted)).toBeLessThan(1e-6);
    },
  );

  it('leaves weights in the data file beside the model', async () => {
    const [whole, parted] = [await imported('vit-huggingface'), await imported('vit-huggingface', 0)];
    const bytes = await derived(parted.path, parted.blocks);
    expect(bytes.length).toBeLessThan((await derived(whole.path, whole.blocks)).length / 2);
    const [one, other] = [
      await run(bytes, join(parted.path, '..'), 32, 32),
      await run(await derived(whole.path, whole.blocks), join(whole.path, '..'), 32, 32),
    ];
    expect(one.dino_rollout!.data).toEqual(other.dino_rollout!.data);
  });

  it('gives the same features as before', async () => {
    const { path, blocks } = await imported('vit-huggingface');
    const before = await run(new Uint8Array(await readFile(path)), join(path, '..'), 32, 48);
    const after = await run(await derived(path, blocks), join(path, '..'), 32, 48);
    for (const name of ['embedding', 'attention', 'keys', 'patch_tokens']) {
      expect(
        largestDifference(after[name]!.data as Float32Array, before[name]!.data as Float32Array),
      ).toBeLessThan(1e-6);
    }
  });

  it('refuses networks whose blocks do not all look from token to token', async () => {
    for (const checkpoint of ['xcit-p16.pth', 'resnet.pth']) {
      const { path, blocks } = await imported(checkpoint);
      await expect(derived(path, blocks + 2)).rejects.toThrow(
        /needs attention between all tokens in each of/,
      );
    }
  });

  it('refuses another file than the one that was loaded', async () => {
    const { path, blocks } = await imported('vit-huggingface');
    await expect(rolloutModel(path, { blocks, sha256: '0'.repeat(64) })).rejects.toThrow(/another file now/);
  });
});
