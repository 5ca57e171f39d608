import { createHash } from 'node:crypto';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { ModelProtoSchema } from '#dino/models/onnx/generated/onnx_pb.js';
import { GraphBuilder } from '#dino/models/onnx/graph-builder.js';
import { ModelWriteError } from '#dino/models/onnx/model-write-error.js';
import { writeModel } from '#dino/models/onnx/write-model.js';
import { lazy, noise, run } from './sessions.js';
import { temporaryFolder } from './temporary-folder.js';

// Not a Buffer, which the parsed fields would then be too.
const bytesOf = async (path: string) => new Uint8Array(await readFile(path));
const sha256 = async (path: string) =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');

/** x W^T of three layers, 40 -> 40. */
function layers(): GraphBuilder {
  const g = new GraphBuilder({ name: 'layers' });
  let x = g.input('x', 'float32', ['n', 40]);
  for (let i = 0; i < 3; i++)
    x = g.linear(`l${i}`, x, lazy(noise(1600, i), 40, 40), lazy(noise(40, 9 + i), 40));
  g.output(x, ['n', 40]);
  return g;
}

const input = noise(80, 77);
async function answer(path: string): Promise<Float32Array> {
  return (await run(await InferenceSession.create(path), 'x', input, [2, 40]))['l2.out']!;
}

describe('writeModel', () => {
  it('writes one file with its SHA-256, size, opset and progress', async () => {
    const folder = await temporaryFolder();
    const progress: number[] = [];
    const file = await writeModel(layers(), folder, {
      onProgress: (bytes, total) => progress.push(bytes / total),
    });
    expect(await readdir(folder)).toEqual(['model.onnx']);
    const bytes = await readFile(file.path);
    expect(file).toEqual({
      path: join(folder, 'model.onnx'),
      sha256: await sha256(file.path),
      bytes: bytes.length,
      opset: 18,
      precision: 'fp32',
    });
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(progress.at(-1)).toBe(1);
    const model = fromBinary(ModelProtoSchema, bytes);
    expect(model.irVersion).toBe(8n);
    // What was streamed is what the library itself would have written.
    expect(toBinary(ModelProtoSchema, model).length).toBe(bytes.length);
  });

  it('is the same file every time', async () => {
    const [first, second] = [
      await writeModel(layers(), await temporaryFolder()),
      await writeModel(layers(), await temporaryFolder()),
    ];
    expect(first.sha256).toBe(second.sha256);
  });

  it('puts weights above the limit into a data file at page boundaries, and the model names its SHA-256', async () => {
    const inline = await writeModel(layers(), await temporaryFolder());
    const folder = await temporaryFolder();
    const file = await writeModel(layers(), folder, { externalDataAbove: 1000 });
    expect((await readdir(folder)).sort()).toEqual(['model.onnx', 'model.onnx.data']);
    const data = join(folder, 'model.onnx.data');
    expect(file.data).toEqual({
      path: data,
      sha256: await sha256(data),
      bytes: (await readFile(data)).length,
    });
    const { metadataProps, graph } = fromBinary(ModelProtoSchema, await readFile(file.path));
    expect(metadataProps.map(({ key, value }) => [key, value])).toEqual([
      ['weights_sha256', file.data!.sha256],
    ]);
    const outside = graph!.initializer.filter(({ externalData }) => externalData.length > 0);
    // Biases are smaller than what is worth a page.
    expect(outside.map(({ name }) => name)).toEqual(['l0.weight', 'l1.weight', 'l2.weight']);
    for (const [index, { externalData }] of outside.entries()) {
      expect(Object.fromEntries(externalData.map(({ key, value }) => [key, value]))).toEqual({
        location: 'model.onnx.data',
        offset: String(index * 8192),
        length: '6400',
      });
    }
    expect(await answer(file.path)).toEqual(await answer(inline.path));
  });

  it('keeps fields that it does not know', async () => {
    const { path } = await writeModel(layers(), await temporaryFolder());
    const model = fromBinary(ModelProtoSchema, await bytesOf(path));
    // Field 6 of a ModelProto and field 10 of a GraphProto, doc_string, aren't in our description.
    const text = new TextEncoder().encode('kept');
    model.$unknown = [{ no: 6, wireType: 2, data: Uint8Array.of(text.length, ...text) }];
    model.graph!.$unknown = [{ no: 10, wireType: 2, data: Uint8Array.of(text.length, ...text) }];
    const read = fromBinary(ModelProtoSchema, toBinary(ModelProtoSchema, model));
    const again = await writeModel(
      { toModel: () => ({ skeleton: read, weights: [], precision: 'fp32' }) },
      await temporaryFolder(),
    );
    const written = fromBinary(ModelProtoSchema, await bytesOf(again.path));
    expect(written.$unknown).toEqual(model.$unknown);
    expect(written.graph!.$unknown).toEqual(model.graph!.$unknown);
    expect(await answer(again.path)).toEqual(await answer(path));
  });

  it('says that the disk is full, and leaves nothing behind', async () => {
    for (const [name, options] of [
      ['model.onnx', {}],
      ['model.onnx.data', { externalDataAbove: 0 }],
    ] as const) {
      const folder = await temporaryFolder();
      await symlink('/dev/full', join(folder, name));
      const writing = writeModel(layers(), folder, options);
      await expect(writing).rejects.toThrow(ModelWriteError);
      await expect(writing).rejects.toThrow(
        `there is no space left for the model in ${folder}: free some and run it again`,
      );
      expect(await readdir(folder)).toEqual([]);
    }
  });

  it('says which file it can not write', async () => {
    const folder = await temporaryFolder();
    await expect(writeModel(layers(), join(folder, 'gone'))).rejects.toThrow(
      /gone\/model\.onnx can't be written \(ENOENT\)/,
    );
    await mkdir(join(folder, 'model.onnx'));
    await expect(writeModel(layers(), folder)).rejects.toThrow(/model\.onnx can't be written \(EISDIR\)/);
  });

  it('stops when it is told to, and leaves nothing behind', async () => {
    const folder = await temporaryFolder();
    const stop = new AbortController();
    const onProgress = () => stop.abort(new Error('enough'));
    await expect(writeModel(layers(), folder, { onProgress, signal: stop.signal })).rejects.toThrow('enough');
    await expect(
      writeModel(layers(), folder, { onProgress, signal: stop.signal, externalDataAbove: 0 }),
    ).rejects.toThrow('enough');
    expect(await readdir(folder)).toEqual([]);
  });

  it('leaves nothing behind when a weight can not be read', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'other'), '');
    const g = layers();
    g.weight('damaged', {
      shape: [1],
      load: () => Promise.reject(new Error('the checkpoint ends too early')),
    });
    await expect(writeModel(g, folder)).rejects.toThrow('the checkpoint ends too early');
    expect(await readdir(folder)).toEqual(['other']);
  });
});
