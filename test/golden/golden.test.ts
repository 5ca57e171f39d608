import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FeatureExtractor } from '#dino/inference/feature-extractor.js';
import { manifestSchema, type Manifest } from '#dino/models/manifest.js';
import { createImageReader } from '#dino/vision/image-reader.js';
import { TestService } from '../support/test-service.js';

interface Golden {
  readonly model: string;
  readonly sha256: string;
  readonly images: readonly {
    readonly file: string;
    readonly embedding: readonly number[];
    readonly attention: {
      readonly size: readonly [number, number];
      readonly values: readonly (readonly number[])[];
    };
  }[];
}

// Made by scripts/golden.py with PyTorch and Pillow from the checkpoint the bundled model was exported from.
const golden = JSON.parse(await readFile(new URL('expected.json', import.meta.url), 'utf8')) as Golden;
const modelFolder = new URL(`../../models/${golden.model}/`, import.meta.url);
const read = (file: string) => readFile(new URL(file, import.meta.url));

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return dot / Math.sqrt(aa * bb);
}

describe('what PyTorch and Pillow make of the same files', () => {
  let service: TestService;
  let manifest: Manifest;
  let extractor: FeatureExtractor;
  beforeAll(async () => {
    manifest = manifestSchema.parse(
      JSON.parse(await readFile(new URL('manifest.json', modelFolder), 'utf8')),
    );
    service = await TestService.start({ model: golden.model, preprocessing: 'exact' });
    extractor = await FeatureExtractor.create({
      manifest,
      modelPath: new URL(manifest.file.path, modelFolder).pathname,
      providers: ['cpu'],
      workers: 1,
      threads: 1,
      maxBatch: 4,
    });
  });
  afterAll(async () => {
    await service.close();
    await extractor.close();
  });

  it('was made from the model that is bundled', () => {
    expect(golden.sha256).toBe(manifest.file.sha256);
    expect(golden.images.length).toBeGreaterThanOrEqual(4);
  });

  it.each(golden.images)(
    "$file: the service's embedding has a cosine of 0.999 to it",
    async ({ file, embedding }) => {
      const { body } = await service.call('POST', '/v1/embeddings', { raw: await read(file) });
      expect(cosine(body.data[0].embedding, embedding)).toBeGreaterThanOrEqual(0.999);
    },
  );

  it.each(golden.images)(
    '$file: the attention of every head has a cosine of 0.999 to it',
    async ({ file, attention }) => {
      const reader = createImageReader({
        maxPixels: 50_000_000,
        timeoutSeconds: 20,
        preprocessing: 'exact',
      });
      const { pixels } = await reader.forEmbedding(await read(file), manifest.preprocessing);
      expect([pixels.height, pixels.width]).toEqual(attention.size);
      const features = await extractor.extract(pixels, ['attention']);
      const n = features.grid.height * features.grid.width;
      attention.values.forEach((expected, head) => {
        const row = features.attention!.subarray(head * n, (head + 1) * n);
        expect(row).toHaveLength(expected.length);
        expect(cosine(row, expected)).toBeGreaterThanOrEqual(0.999);
      });
    },
  );
});
