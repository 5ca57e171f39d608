import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { recognise } from '#dino/models/architectures/recognise.js';
import { backboneOf } from '#dino/models/checkpoints/backbone.js';
import { openCheckpoint } from '#dino/models/checkpoints/open-checkpoint.js';
import { sha256OfFile } from '#dino/models/file-hash.js';
import { ModelProtoSchema } from '#dino/models/onnx/generated/onnx_pb.js';
import { GraphBuilder, type Precision } from '#dino/models/onnx/graph-builder.js';
import { embeddingModel } from '#dino/models/onnx/surgery/embedding-model.js';
import { valueInfo } from '#dino/models/onnx/value-info.js';
import { writeModel } from '#dino/models/onnx/write-model.js';
import { hashedPixels } from '../../../support/hashed-pixels.js';
import { largestDifference } from './sessions.js';
import { temporaryFolder } from './temporary-folder.js';

/** Largest difference of an embedding's element, of about 1, to what the whole graph gives. */
const TOLERANCE = 2e-5;
const checkpoints = new URL('../../../golden/checkpoints/', import.meta.url).pathname;
const bundled = new URL('../../../../models/dino-vitmicro16-photos/model.onnx', import.meta.url).pathname;

async function written(checkpoint: string, precision: Precision = 'fp32', externalDataAbove?: number) {
  const opened = await openCheckpoint(join(checkpoints, checkpoint));
  const architecture = recognise(backboneOf(opened), { config: opened.values });
  const graph = new GraphBuilder({ name: architecture.variant, precision });
  architecture.build(graph);
  const { path } = await writeModel(graph, await temporaryFolder(), { externalDataAbove });
  await opened.close();
  return { path, side: 3 * architecture.multipleOf, depth: architecture.depth };
}

async function derived(path: string, side: number): Promise<Uint8Array | undefined> {
  return embeddingModel(path, { side, sha256: await sha256OfFile(path) });
}

async function run(model: Uint8Array | string, folder: string, side: number) {
  const session = await InferenceSession.create(model as string, {
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
    extra: { session: { model_external_initializers_file_folder_path: folder } },
  });
  const pixels = new Tensor('uint8', hashedPixels(2, side, side), [2, side, side, 3]);
  return session.run({ pixels });
}

async function differenceOf(path: string, model: Uint8Array, side: number): Promise<number> {
  const [whole, alone] = [await run(path, join(path, '..'), side), await run(model, join(path, '..'), side)];
  expect(Object.keys(alone)).toEqual(['embedding']);
  expect(alone['embedding']!.dims).toEqual(whole['embedding']!.dims);
  return largestDifference(
    alone['embedding']!.data as Float32Array,
    whole['embedding']!.data as Float32Array,
  );
}

describe('embeddingModel', () => {
  it.each([
    ['vit-huggingface', 'fp32'],
    ['vit-huggingface', 'fp16'],
    ['vit-huggingface', 'int8'],
    ['dinov2-gated-registers-huggingface', 'fp32'],
    ['dinov2-gated-registers-huggingface', 'int8'],
    ['dinov3.pth', 'fp32'],
    ['dinov3.pth', 'int8'],
    ['xcit-p16.pth', 'fp32'],
  ] as const)('changes no embedding by more than rounding: %s in %s', async (checkpoint, precision) => {
    const { path, side } = await written(checkpoint, precision);
    const model = await derived(path, side);
    expect(await differenceOf(path, model!, side)).toBeLessThan(TOLERANCE);
  });

  it('changes no embedding of the bundled model by more than rounding, on its own grid and on others', async () => {
    for (const side of [96, 112]) {
      expect(await differenceOf(bundled, (await derived(bundled, side))!, side)).toBeLessThan(TOLERANCE);
    }
  });

  it('works on the first token alone after the last attention', async () => {
    const { path, side, depth } = await written('vit-huggingface');
    const model = fromBinary(ModelProtoSchema, (await derived(path, side))!);
    const names = [`blocks.${depth - 1}.mlp.fc1.out`, `blocks.${depth - 2}.mlp.fc1.out`];
    model.graph!.output.push(...names.map((name) => valueInfo(name, 'float32', ['b', 'n', 'd'])));
    const results = await run(toBinary(ModelProtoSchema, model), join(path, '..'), side);
    expect(names.map((name) => results[name]!.dims[1])).toEqual([1, 10]);
  });

  it('keeps no shape that a quantiser noted down, since those are of all tokens', async () => {
    const { path, side, depth } = await written('vit-huggingface');
    const model = fromBinary(ModelProtoSchema, await readFile(path));
    model.graph!.valueInfo = ['q', 'k'].map((part) =>
      valueInfo(`blocks.${depth - 1}.attn.${part}`, 'float32', ['batch', 'tokens', 'heads', 'head']),
    );
    await writeFile(path, toBinary(ModelProtoSchema, model));
    const alone = (await derived(path, side))!;
    expect(fromBinary(ModelProtoSchema, alone).graph!.valueInfo).toEqual([]);
    expect(await differenceOf(path, alone, side)).toBeLessThan(TOLERANCE);
  });

  it('refers to the weights in the file, and in the data file beside it', async () => {
    const fileBytes = (await readFile(bundled)).length;
    expect((await derived(bundled, 112))!.length).toBeLessThan(fileBytes / 10);
    const { path, side } = await written('vit-huggingface', 'fp32', 0);
    expect(await differenceOf(path, (await derived(path, side))!, side)).toBeLessThan(TOLERANCE);
  });

  it('is none where the embedding takes all tokens, or of a file of another maker', async () => {
    const resnet = await written('resnet.pth');
    expect(await derived(resnet.path, resnet.side)).toBeUndefined();
    const foreign = new URL('../../../golden/onnx/', import.meta.url).pathname;
    const file = join(foreign, 'hidden-state.onnx');
    expect(await derived(file, 64)).toBeUndefined();
  });

  it('refuses a file that is another one by now', async () => {
    await expect(embeddingModel(bundled, { side: 112, sha256: '0'.repeat(64) })).rejects.toThrow(
      /another file now/,
    );
  });
});
