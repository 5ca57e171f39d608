import { readFile } from 'node:fs/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { FeatureExtractor } from '#dino/inference/feature-extractor.js';
import { manifestSchema } from '#dino/models/manifest.js';

const folder = new URL('../../models/dino-vitmicro16-photos/', import.meta.url);
const manifest = manifestSchema.parse(JSON.parse(await readFile(new URL('manifest.json', folder), 'utf8')));

function open(
  workers: number,
  modelPath = new URL(manifest.file.path, folder).pathname,
  verify?: () => Promise<void>,
) {
  const options = {
    verify,
    manifest,
    modelPath,
    providers: ['cpu'],
    workers,
    threads: 1,
    maxBatch: 1,
  };
  return FeatureExtractor.create(options);
}

const grey = (side: number) => ({
  data: new Uint8Array(side * side * 3).fill(128),
  width: side,
  height: side,
});

describe('FeatureExtractor', () => {
  it('finishes what runs and what waits before it closes, with several workers', async () => {
    const extractor = await open(2);
    const answers = Promise.all(Array.from({ length: 9 }, () => extractor.extract(grey(96), ['embedding'])));
    await extractor.close();
    const embeddings = (await answers).map(({ embedding }) => embedding!);
    for (const embedding of embeddings) expect(embedding).toEqual(embeddings[0]);
    expect(embeddings[0]).toHaveLength(manifest.architecture.embedDim);
  });

  it('gives what ONNX Runtime gives in this process, bit for bit', async () => {
    const extractor = await open(1);
    const path = new URL(manifest.file.path, folder).pathname;
    const session = await InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1 });
    const data = Uint8Array.from({ length: 80 * 48 * 3 }, (_, i) => (Math.imul(i, 2654435761) >>> 13) & 255);
    const alone = await session.run({ pixels: new Tensor('uint8', data, [1, 48, 80, 3]) });
    const names = ['embedding', 'patch_tokens', 'attention', 'keys'] as const;
    const features = await extractor.extract({ data, width: 80, height: 48 }, names);
    expect(features.embedding).toEqual(alone.embedding!.data);
    expect(features.patchTokens).toEqual(alone.patch_tokens!.data);
    expect(features.attention).toEqual(alone.attention!.data);
    expect(features.keys).toEqual(alone.keys!.data);
    await extractor.close();
  });

  it('lets the event loop go on while the model runs', async () => {
    const extractor = await open(1);
    let turns = 0;
    const count = () => {
      turns += 1;
      if (!done) setImmediate(count);
    };
    let done = false;
    setImmediate(count);
    const { grid, attention } = await extractor.extract(grey(480), ['attention']);
    done = true;
    expect(grid).toEqual({ width: 30, height: 30 });
    expect(attention).toHaveLength(900 * manifest.architecture.heads!);
    // On this thread the whole run would be a single turn.
    expect(turns).toBeGreaterThan(100);
    await extractor.close();
  });

  it('fails the batch whose process is killed, and runs the next one in another process', async () => {
    const extractor = await open(1);
    const [first] = extractor.processIds;
    const failing = extractor.extract(grey(480), ['keys']);
    const waiting = extractor.extract(grey(96), ['embedding']);
    process.kill(first!, 'SIGKILL');
    await expect(failing).rejects.toMatchObject({ code: 'not-ready', retryAfterSeconds: 1 });
    await expect(failing).rejects.toThrow(new RegExp(`${manifest.name} ended \\(SIGKILL\\)`));
    expect((await waiting).embedding).toHaveLength(manifest.architecture.embedDim);
    const [second] = extractor.processIds;
    expect(second).not.toBe(first);
    process.kill(second!, 'SIGKILL');
    while (extractor.processIds.length > 0) await new Promise(setImmediate);
    expect((await extractor.extract(grey(96), ['embedding'])).embedding).toEqual((await waiting).embedding);
    await extractor.close();
  });

  it('never goes on with another file that has come into the place of its own', async () => {
    let isAnother = false;
    const verify = async () => {
      if (isAnother) throw new Error('another file');
    };
    const extractor = await open(1, undefined, verify);
    isAnother = true;
    process.kill(extractor.processIds[0]!, 'SIGKILL');
    while (extractor.processIds.length > 0) await new Promise(setImmediate);
    await expect(extractor.extract(grey(96), ['embedding'])).rejects.toThrow('another file');
    isAnother = false;
    expect((await extractor.extract(grey(96), ['embedding'])).grid).toEqual({ width: 6, height: 6 });
    await extractor.close();
  });

  it('leaves no process behind, whether it worked or was idle', async () => {
    const extractor = await open(2);
    const ids = extractor.processIds;
    expect(ids).toHaveLength(2);
    expect(extractor.memoryBytes).toBeGreaterThan(2 * manifest.file.bytes);
    const last = extractor.extract(grey(96), ['embedding']);
    await extractor.close();
    await last;
    for (const id of ids) expect(() => process.kill(id, 0)).toThrow('ESRCH');
    expect(extractor.memoryBytes).toBe(0);
  });

  it('goes on when a terminal or a service manager signals the whole group', async () => {
    const extractor = await open(1);
    const [id] = extractor.processIds;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(id!, signal);
    await extractor.extract(grey(96), ['embedding']);
    expect(extractor.processIds).toEqual([id]);
    await extractor.close();
  });

  it('fails to open, and ends its processes, where the file is no model', async () => {
    await expect(open(1, new URL('manifest.json', folder).pathname)).rejects.toThrow();
  });

  it('refuses pixels that are no multiple of the patch size', async () => {
    const extractor = await open(1);
    expect(() => extractor.extract(grey(97), ['embedding'])).toThrow(/multiple/);
    await extractor.close();
  });
});
