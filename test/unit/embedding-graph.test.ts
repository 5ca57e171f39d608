import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embeddingGraph } from '#dino/inference/embedding-graph.js';
import { FeatureExtractor } from '#dino/inference/feature-extractor.js';
import { manifestSchema } from '#dino/models/manifest.js';
import { hashedPixels } from '../support/hashed-pixels.js';
import { largestDifference } from './models/onnx/sessions.js';

const folder = new URL('../../models/dino-vitmicro16-photos/', import.meta.url);
const manifest = manifestSchema.parse(JSON.parse(await readFile(new URL('manifest.json', folder), 'utf8')));
const modelPath = new URL(manifest.file.path, folder).pathname;
const { crop } = manifest.preprocessing;

let temporary: string;
beforeAll(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'dino-graphs-'));
});
afterAll(() => rm(temporary, { recursive: true }));

function settingsOf(cacheDir: string) {
  const { sha256 } = manifest.file;
  return {
    modelPath,
    sha256,
    blocks: manifest.architecture.depth,
    threads: 1,
    providers: ['cpu'],
    embeddings: { side: crop, cacheDir },
  };
}

function open(cacheDir?: string) {
  const options = { manifest, modelPath, providers: ['cpu'], workers: 1, threads: 1, maxBatch: 4 };
  return FeatureExtractor.create({ ...options, ...(cacheDir !== undefined && { cacheDir }) });
}

function photo(side: number) {
  return { data: Uint8Array.from(hashedPixels(1, side, side)), width: side, height: side };
}

function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a !== undefined && b !== undefined && Buffer.compare(a, b) === 0;
}

describe('embeddingGraph', () => {
  it('is kept, and made again where what was kept is damaged, cut short or empty', async () => {
    const cacheDir = join(temporary, 'kept');
    const made = await embeddingGraph(settingsOf(cacheDir));
    const [name, ...others] = await readdir(cacheDir);
    expect(others).toEqual([]);
    const kept = await readFile(join(cacheDir, name!));
    expect(isSame(await embeddingGraph(settingsOf(cacheDir)), made)).toBe(true);

    const damaged = Buffer.from(kept);
    damaged[damaged.length >> 1]! ^= 1;
    for (const content of [damaged, kept.subarray(0, 1000), Buffer.alloc(0)]) {
      await writeFile(join(cacheDir, name!), content);
      expect(isSame(await embeddingGraph(settingsOf(cacheDir)), made)).toBe(true);
      expect(isSame(await readFile(join(cacheDir, name!)), kept)).toBe(true);
    }
  });

  it('is made all the same where it can not be kept', async () => {
    const file = join(temporary, 'file');
    await writeFile(file, '');
    expect((await embeddingGraph(settingsOf(file)))!.length).toBeGreaterThan(0);
  });
});

describe('FeatureExtractor with a graph for embeddings', () => {
  it('gives the same embeddings at every size, and everything else too', async () => {
    const cacheDir = join(temporary, 'used');
    const [plain, fused] = [await open(), await open(cacheDir)];
    try {
      expect(await readdir(cacheDir)).toHaveLength(1);
      for (const side of [crop, 2 * crop]) {
        const [whole, alone] = await Promise.all(
          [plain, fused].map((extractor) => extractor.extract(photo(side), ['embedding'])),
        );
        expect(largestDifference(alone!.embedding!, whole!.embedding!)).toBeLessThan(2e-5);
      }
      const names = ['embedding', 'patch_tokens', 'attention', 'keys'] as const;
      const [whole, asked] = await Promise.all(
        [plain, fused].map((extractor) => extractor.extract(photo(crop), names)),
      );
      expect(asked).toEqual(whole);
    } finally {
      await Promise.all([plain.close(), fused.close()]);
    }
  });
});
