import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCalibrated, type Arrangement } from '#dino/inference/calibrate.js';
import { FeatureExtractor } from '#dino/inference/feature-extractor.js';
import { manifestSchema } from '#dino/models/manifest.js';

const folder = new URL('../../models/dino-vitmicro16-photos/', import.meta.url);
const manifest = manifestSchema.parse(JSON.parse(await readFile(new URL('manifest.json', folder), 'utf8')));
const modelPath = new URL(manifest.file.path, folder).pathname;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dino-calibrate-'));
});
afterAll(() => rm(root, { recursive: true }));

function open(keptIn: string, changes: { maxBatch?: number; memoryBytes?: number; threads?: number } = {}) {
  const options = { manifest, modelPath, providers: ['cpu'], threads: 0, maxBatch: 4, cores: 2 };
  return openCalibrated({ ...options, memoryBytes: 2 ** 30, machine: 'this', keptIn, ...changes });
}

async function arrangement(...args: Parameters<typeof open>): Promise<Arrangement> {
  const { processes, arrangement } = await open(...args);
  expect(processes.count).toBe(arrangement.workers);
  expect(processes.ids).toHaveLength(arrangement.workers);
  await processes.close();
  return arrangement;
}

describe('openCalibrated', () => {
  it('shares the cores out, keeps what it measured, and goes by it the next time', async () => {
    const keptIn = join(root, 'kept');
    const first = await arrangement(keptIn);
    expect(first.workers * first.threads).toBe(2);
    expect([1, 2, 4]).toContain(first.maxBatch);
    // The slowest of the processes tells how long a batch takes.
    const least = (first.workers * first.maxBatch) / first.batchSeconds;
    expect(first.imagesPerSecond).toBeGreaterThan(least * 0.999);

    const [file] = await readdir(keptIn);
    expect(await arrangement(keptIn)).toEqual(first);
    const given = { ...first, workers: 1, threads: 2, maxBatch: 3 };
    await writeFile(join(keptIn, file!), JSON.stringify(given));
    expect(await arrangement(keptIn)).toEqual(given);
    await writeFile(join(keptIn, file!), 'damaged');
    expect((await arrangement(keptIn)).workers).toBeLessThanOrEqual(2);
    expect(await readdir(keptIn)).toEqual([file]);
  });

  it('has one process where memory is for no more, the threads that are given, and no larger batch', async () => {
    const few = await arrangement(join(root, 'few'), { memoryBytes: 1, threads: 1, maxBatch: 1 });
    expect(few).toMatchObject({ workers: 1, threads: 1, maxBatch: 1 });
  });

  it('tells why a model can not be opened, and leaves no process behind', async () => {
    const options = { manifest, providers: ['cpu'], threads: 1, maxBatch: 1, cores: 1, memoryBytes: 1 };
    const broken = { ...options, modelPath: new URL('manifest.json', folder).pathname };
    const keptIn = join(root, 'broken');
    await expect(openCalibrated({ ...broken, machine: 'this', keptIn })).rejects.toThrow(/protobuf|model/i);
    await expect(readdir(keptIn)).rejects.toThrow('ENOENT');
  });

  it('changes no embedding: they are the same with any processes, threads and batches', async () => {
    const { crop } = manifest.preprocessing;
    const images = Array.from({ length: 6 }, (_, image) => ({
      data: Uint8Array.from({ length: crop * crop * 3 }, (_, i) => (i * (89 + image) + (i >> 7) * 53) % 256),
      width: crop,
      height: crop,
    }));
    const embed = async (workers: number, threads: number, maxBatch: number) => {
      const options = { manifest, modelPath, providers: ['cpu'], workers, threads, maxBatch };
      const extractor = await FeatureExtractor.create(options);
      const features = await Promise.all(images.map((image) => extractor.extract(image, ['embedding'])));
      await extractor.close();
      return features.flatMap(({ embedding }) => [...embedding!]);
    };
    const alone = await embed(1, 1, 1);
    for (const [workers, threads, maxBatch] of [
      [1, 2, 6],
      [2, 1, 2],
    ] as const) {
      const together = await embed(workers, threads, maxBatch);
      const apart = Math.max(...together.map((value, i) => Math.abs(value - alone[i]!)));
      expect(apart).toBeLessThan(1e-5);
    }
  });
});
