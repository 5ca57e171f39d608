import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { FeatureExtractor } from '#dino/inference/feature-extractor.js';
import { manifestSchema } from '#dino/models/manifest.js';

const folder = new URL('../../models/dino-vitt16-photos/', import.meta.url);
const manifest = manifestSchema.parse(JSON.parse(await readFile(new URL('manifest.json', folder), 'utf8')));

function open(workers: number, modelPath = new URL(manifest.file.path, folder).pathname) {
  const options = {
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
    expect(attention).toHaveLength(900 * manifest.architecture.heads);
    // On this thread the whole run would be a single turn.
    expect(turns).toBeGreaterThan(100);
    await extractor.close();
  });

  it('fails to open, and ends its workers, where the file is no model', async () => {
    await expect(open(1, new URL('manifest.json', folder).pathname)).rejects.toThrow();
  });

  it('refuses pixels that are no multiple of the patch size', async () => {
    const extractor = await open(1);
    expect(() => extractor.extract(grey(97), ['embedding'])).toThrow(/multiple/);
    await extractor.close();
  });
});
