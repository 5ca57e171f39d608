import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '#dino/models/checkpoints/open-checkpoint.js';
import { architectureMetadata } from '#dino/models/onnx/architecture-metadata.js';
import {
  ModelProtoSchema,
  NodeProtoSchema,
  StringStringEntryProtoSchema,
  type ModelProto,
} from '#dino/models/onnx/generated/onnx_pb.js';
import { GraphBuilder } from '#dino/models/onnx/graph-builder.js';
import { NEWEST_IR_VERSION, NEWEST_OPSET } from '#dino/models/onnx/surgery/check-onnx.js';
import { importOnnx, type ImportedOnnx } from '#dino/models/onnx/surgery/import-onnx.js';
import { writeModel } from '#dino/models/onnx/write-model.js';
import { hashedPixels } from '../../../support/hashed-pixels.js';
import { cosine, largestDifference, lazy, noise } from './sessions.js';
import { temporaryFolder } from './temporary-folder.js';

// Made by scripts/golden_onnx.py: files as torch.onnx exports them, and what PyTorch makes of the hashed pixels.
const golden = new URL('../../../golden/onnx/', import.meta.url).pathname;
const FEATURES = ['embedding', 'patch_tokens', 'attention', 'keys'] as const;

async function open(model: ImportedOnnx, externalDataAbove?: number): Promise<InferenceSession> {
  const { path } = await writeModel(model, await temporaryFolder(), { externalDataAbove });
  return InferenceSession.create(path, { intraOpNumThreads: 1, logSeverityLevel: 3 });
}

async function features(session: InferenceSession, batch: number, height: number, width: number) {
  const pixels = new Tensor('uint8', hashedPixels(batch, height, width), [batch, height, width, 3]);
  return session.run({ pixels });
}

/** A golden file with something changed, in a folder of its own. */
async function changed(name: string, change: (model: ModelProto) => void): Promise<string> {
  const model = fromBinary(ModelProtoSchema, new Uint8Array(await readFile(join(golden, `${name}.onnx`))));
  change(model);
  const path = join(await temporaryFolder(), 'changed.onnx');
  await writeFile(path, toBinary(ModelProtoSchema, model));
  return path;
}

describe('an ONNX file that gives less than it could', () => {
  it.each([
    [
      'norm-after-choice',
      'attention in one operator, the norm after the choice of the CLS token',
      [[32, 32]],
    ],
    ['norm-in-parts', 'the same with the norm in ten operators', [[40, 40]]],
    ['one-image', 'attention as the authors write it, batch and size fixed', [[32, 40]]],
    ['joined-heads', 'keys transposed with batch and heads joined, as newer exporters do', [[16, 24]]],
    ['hidden-state', 'all tokens and a pooled vector, queries and keys from layers of their own', [[32, 32]]],
    [
      'registers-any-size',
      'register tokens, any size of image',
      [
        [24, 24],
        [40, 24],
        [8, 72],
      ],
    ],
  ] as const)('%s: %s: gives what PyTorch gives', async (name, _, sizes) => {
    const model = await importOnnx(join(golden, `${name}.onnx`));
    expect(model).toMatchObject({
      family: 'vit',
      variant: 'vit_d24_l2_h3',
      patchSize: 8,
      multipleOf: 8,
      embedDim: 24,
      depth: 2,
      heads: 3,
      outputs: FEATURES,
      notes: [],
    });
    const [[height, width]] = sizes;
    expect(model.fixedSize).toEqual(name === 'registers-any-size' ? undefined : { height, width });
    const session = await open(model);
    expect(session.inputNames).toEqual(['pixels']);
    const expected = await openCheckpoint(join(golden, `${name}.expected.safetensors`));
    for (const [height, width] of sizes) {
      const actual = await features(session, 2, height, width);
      expect(Object.keys(actual).sort()).toEqual([...FEATURES].sort());
      for (const feature of FEATURES) {
        const wanted = expected.tensors.get(`${height}x${width}.${feature}`)!;
        const [values, reference] = [actual[feature]!.data as Float32Array, await wanted.load()];
        expect(actual[feature]!.dims).toEqual(wanted.shape);
        expect(largestDifference(values, reference)).toBeLessThan(1e-5);
        expect(cosine(values, reference)).toBeGreaterThan(0.999999);
      }
      const [single] = [await features(session, 1, height, width)];
      expect(single.embedding!.dims).toEqual([1, 24]);
    }
    await expected.close();
  });

  it('is the same with its weights in a data file, and can be read again from there', async () => {
    const folder = await temporaryFolder();
    const inline = await importOnnx(join(golden, 'norm-after-choice.onnx'));
    const { path, data } = await writeModel(inline, folder, { externalDataAbove: 0 });
    expect(data!.bytes).toBeGreaterThan(40_000);
    const again = await importOnnx(path);
    const { variant, heads, outputs, fixedSize } = inline;
    expect(again).toMatchObject({ variant, heads, outputs, fixedSize });
    const [first, second] = [await open(inline), await open(again)];
    const run = async (session: InferenceSession) => (await features(session, 1, 32, 32)).keys!.data;
    expect(await run(second)).toEqual(await run(first));
    await writeFile(join(folder, 'model.onnx.data'), new Uint8Array(100));
    await expect(importOnnx(path)).rejects.toThrow(
      /model\.onnx\.data is too short for the tensor .*: it was cut/,
    );
  });

  it('keeps clear of names that the file uses itself', async () => {
    const path = await changed('norm-after-choice', ({ graph }) => {
      for (const value of [...graph!.input, ...graph!.output]) {
        value.name = value.name === 'input' ? 'attention' : 'embedding';
      }
      for (const node of graph!.node) {
        node.input = node.input.map((name) => (name === 'input' ? 'attention' : name));
        node.output = node.output.map((name) => (name === 'output' ? 'embedding' : name));
      }
    });
    const [plain, renamed] = [
      await importOnnx(join(golden, 'norm-after-choice.onnx')),
      await importOnnx(path),
    ];
    const run = async (model: ImportedOnnx) => (await features(await open(model), 1, 32, 32)).attention!.data;
    expect(await run(renamed)).toEqual(await run(plain));
  });

  it('gives the vector alone, and says so, where there is no attention over tokens', async () => {
    const g = new GraphBuilder({ name: 'convolutions' });
    g.input('input', 'float32', ['batch', 3, 'height', 'width']);
    g.op('Conv', ['input', g.weight('w', lazy(noise(8 * 27, 1), 8, 3, 3, 3))], {
      out: 'map',
      attributes: { strides: [2, 2], kernel_shape: [3, 3] },
    });
    g.op('GlobalAveragePool', ['map'], { out: 'pooled' });
    g.op('Flatten', ['pooled'], { out: 'vector' });
    g.output('vector', ['batch', 8]);
    const { path } = await writeModel(g, await temporaryFolder());
    const model = await importOnnx(path);
    expect(model).toMatchObject({ family: 'onnx', variant: 'onnx_d8', embedDim: 8, outputs: ['embedding'] });
    expect(model.heads).toBeUndefined();
    expect(model.notes[0]).toContain('gives no patch_tokens, attention, keys');
    expect((await features(await open(model), 2, 16, 24)).embedding!.dims).toEqual([2, 8]);
  });
});

describe('an ONNX file of our own', () => {
  const build = (metadata?: Record<string, string>) => {
    const g = new GraphBuilder({ name: 'own', metadata });
    const pixels = g.input('pixels', 'uint8', ['batch', 'height', 'width', 3]);
    const floats = g.op('Cast', [pixels], { out: 'floats', attributes: { to: 1 } });
    g.weight('patch_embed.proj.weight', lazy(noise(12 * 3, 1), 12, 3));
    g.op('ReduceMean', [floats, g.ints(1, 2)], { out: 'embedding', attributes: { keepdims: 0 } });
    g.output('embedding', ['batch', 3]);
    return writeModel(g, temporary);
  };
  let temporary: string;

  it('is taken as it is, with what its metadata says', async () => {
    temporary = await temporaryFolder();
    const description = {
      family: 'resnet',
      variant: 'resnet50',
      patchSize: 32,
      multipleOf: 32,
      embedDim: 3,
      depth: 4,
      outputs: ['embedding' as const],
    };
    const { path, sha256 } = await build(architectureMetadata(description));
    const model = await importOnnx(path);
    expect(model).toMatchObject(description);
    expect((await writeModel(model, await temporaryFolder())).bytes).toBe((await readFile(path)).length);
    expect(sha256).toHaveLength(64);
  });

  it('tells the size of its patches by its tensors where it has no metadata', async () => {
    temporary = await temporaryFolder();
    expect(await importOnnx((await build()).path)).toMatchObject({
      patchSize: 2,
      embedDim: 3,
      outputs: ['embedding'],
    });
  });

  it('is the bundled model, too', async () => {
    const bundled = new URL('../../../../models/dino-vitmicro16-photos/model.onnx', import.meta.url).pathname;
    const model = await importOnnx(bundled);
    expect(model).toMatchObject({ patchSize: 16, embedDim: 128, depth: 6, heads: 4, outputs: FEATURES });
  });
});

describe('an ONNX file that can not be used', () => {
  it('says which operators only its makers have', async () => {
    const path = await changed('one-image', ({ graph }) => {
      graph!.node.push(
        create(NodeProtoSchema, {
          opType: 'Sigmoid',
          domain: 'org.example',
          input: ['output'],
          output: ['x'],
        }),
      );
    });
    await expect(importOnnx(path)).rejects.toThrow(
      'operators that only a library of its makers has (org.example::Sigmoid): export it with standard operators',
    );
  });

  it('says which opset is too old or too new', async () => {
    const withOpset = (version: number) =>
      changed('one-image', (model) => (model.opsetImport[0]!.version = BigInt(version)));
    await expect(importOnnx(await withOpset(9))).rejects.toThrow(
      'uses opset 9: export it again with opset 17, or 11 at least',
    );
    await expect(importOnnx(await withOpset(NEWEST_OPSET + 1))).rejects.toThrow(
      /newer than what can be run here/,
    );
  });

  it('draws the line where onnxruntime draws it', async () => {
    const g = new GraphBuilder({ name: 'nothing' });
    g.op('Identity', [g.input('x', 'float32', [1])], { out: 'y' });
    g.output('y', [1]);
    const opens = (opset: number, irVersion: bigint) => {
      const { skeleton } = g.toModel();
      skeleton.opsetImport[0]!.version = BigInt(opset);
      skeleton.irVersion = irVersion;
      const bytes = toBinary(ModelProtoSchema, skeleton);
      return InferenceSession.create(bytes, { logSeverityLevel: 4 }).then(
        () => true,
        () => false,
      );
    };
    expect(await opens(NEWEST_OPSET, NEWEST_IR_VERSION)).toBe(true);
    expect(await opens(NEWEST_OPSET + 1, NEWEST_IR_VERSION)).toBe(false);
    expect(await opens(NEWEST_OPSET, NEWEST_IR_VERSION + 1n)).toBe(false);
  });

  it('says what it takes where that is no image', async () => {
    const g = new GraphBuilder({ name: 'words' });
    g.input('input_ids', 'int64', ['batch', 'words']);
    g.op('Cast', ['input_ids'], { out: 'y', attributes: { to: 1 } });
    g.output('y', ['batch', 'words']);
    const { path } = await writeModel(g, await temporaryFolder());
    await expect(importOnnx(path)).rejects.toThrow(
      'takes input_ids [?, ?], not one image as floats [batch, 3, height, width]',
    );
  });

  it('says that it is no ONNX file, or was cut short', async () => {
    const folder = await temporaryFolder();
    const whole = await readFile(join(golden, 'one-image.onnx'));
    const contents = {
      text: Buffer.from('not a model at all'),
      empty: Buffer.alloc(0),
      cut: whole.subarray(0, 50_000),
    };
    for (const [name, content] of Object.entries(contents)) {
      await writeFile(join(folder, name), content);
      await expect(importOnnx(join(folder, name))).rejects.toThrow(/is no ONNX file/);
    }
    await expect(importOnnx(join(folder, 'gone'))).rejects.toThrow(/gone can't be read \(ENOENT\)/);
  });

  it('reads no data from outside its folder', async () => {
    for (const location of ['../secret', '/etc/passwd', '']) {
      const path = await changed('one-image', ({ graph }) => {
        const [tensor] = graph!.initializer;
        tensor!.rawData = new Uint8Array();
        tensor!.dataLocation = 1;
        tensor!.externalData = [create(StringStringEntryProtoSchema, { key: 'location', value: location })];
      });
      await expect(importOnnx(path)).rejects.toThrow(
        /which is not beside it: put the data file into its folder/,
      );
    }
  });

  it('says that a batch of a fixed size other than one can not be served', async () => {
    const path = await changed('one-image', ({ graph }) => {
      graph!.input[0]!.type!.tensorType!.shape!.dim[0]!.value = { case: 'dimValue', value: 4n };
    });
    await expect(importOnnx(path)).rejects.toThrow(
      'batches of 4 images only: export it with a dynamic batch',
    );
  });
});
