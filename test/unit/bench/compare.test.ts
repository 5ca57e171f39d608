import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { BUNDLED } from '../../bench/bench-server.js';
import type { Contender } from '../../bench/contenders.js';
import { compareInt8 } from '../../bench/int8-accuracy.js';
import { agreementWith, race, throughputTable } from '../../bench/race.js';
import { writeLabelledPhotos } from './bench-photos.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dino-bench-compare-'));
  vi.stubEnv('TMPDIR', folder);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

const close = () => Promise.resolve();

describe('the race', () => {
  const turns: string[] = [];
  const runner = (name: string, rates: number[]): Contender => ({
    name,
    rate(seconds) {
      turns.push(`${name} ${seconds}`);
      return Promise.resolve(rates.shift()!);
    },
    close,
  });

  it('goes A B A B, and its ratios are of the same round', async () => {
    const contenders = { alone: runner('the runtime', [10, 5, 20]), fp32: runner('the service', [8, 4, 40]) };
    const rates = await race(contenders, { seconds: 2, rounds: 3 });
    expect(turns).toEqual(Array.from({ length: 3 }, () => ['the runtime 2', 'the service 2']).flat());
    expect(throughputTable(contenders, rates, 'alone')).toEqual({
      'the runtime': { 'images/s': 10, 'over the runtime alone': 1 },
      'the service': { 'images/s': 8, 'over the runtime alone': 0.8 },
    });
  });
});

describe('the agreement', () => {
  const embedder = (name: string, vectors: number[][]): Contender => ({
    name,
    rate: () => Promise.resolve(1),
    embed: () => Promise.resolve(vectors.map((vector) => Float32Array.from(vector))),
    close,
  });
  const ours = embedder('ours', [
    [3, 4],
    [1, 0],
  ]);

  it('is the mean cosine to our vectors, whatever their length, of those who embed', async () => {
    const other = embedder('another', [
      [6, 8],
      [0, 2],
    ]);
    const mute: Contender = { name: 'tensors', rate: () => Promise.resolve(1), close };
    expect(await agreementWith(ours, [ours, other, mute], [])).toEqual({ another: { cosine: 0.5 } });
  });

  it('cannot be told of vectors of other sizes', async () => {
    const other = embedder('another', [[1, 2, 3]]);
    await expect(agreementWith(ours, [other], [])).rejects.toThrow('vectors of 3 and 2 elements');
  });
});

describe('what int8 costs', () => {
  it('is nothing where both models are the same, and photos of no class do not count', async () => {
    const photos = await writeLabelledPhotos(folder);
    const same = { fp32: BUNDLED, int8: BUNDLED, stored: photos, asked: photos };
    const found = await compareInt8({ ...same, limit: 3 });
    expect(found).toMatchObject({ photos: 2, knn: { fp32: 100, int8: 100 } });
    expect(found.meanCosine).toBeCloseTo(1, 6);
    expect(found.leastCosine).toBeCloseTo(1, 6);
  });
});
