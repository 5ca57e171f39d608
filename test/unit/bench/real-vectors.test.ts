import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { recipeOf } from '#dino/inference/cache/recipe.js';
import { RUNTIME_VERSION } from '#dino/inference/runtime-version.js';
import { DECODER_VERSION } from '#dino/vision/decoder-version.js';
import { BUNDLED, readManifest } from '../../bench/bench-server.js';
import { readTarPhotos } from '../../bench/photos.js';
import { embeddingsKey, embedPhotos } from '../../bench/real-vectors.js';
import { writeTar } from '../../cli/photo-folder.js';
import { writeLabelledPhotos } from './bench-photos.js';

let folder: string;
let photos: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dino-bench-vectors-'));
  photos = await writeLabelledPhotos(folder);
  vi.stubEnv('TMPDIR', folder);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

const kept = (): string => join(folder, 'dino-bench-embeddings');

/** Its files hold ones from now on, so that vectors tell whether they come from there. */
async function spoilKept(): Promise<void> {
  for (const name of await readdir(kept())) {
    const { length } = await readFile(join(kept(), name));
    await writeFile(join(kept(), name), Buffer.from(new Float32Array(length / 4).fill(1).buffer));
  }
}

describe('embeddings that are kept for the next run', () => {
  it('are of unit length, by photo, and are taken from there', async () => {
    const { dimension, rows, names } = await embedPhotos([photos], BUNDLED, 3);
    expect(names).toEqual(['meadow/1.jpg', 'night/2.jpg', 'BACKGROUND_Google/3.jpg']);
    expect(rows).toHaveLength(3);
    for (const row of rows) expect(Math.hypot(...row)).toBeCloseTo(1, 5);
    await spoilKept();
    const again = await embedPhotos([photos], BUNDLED, 3);
    expect(again.rows[0]![0]).toBeCloseTo(1 / Math.sqrt(dimension), 6);
  });

  it('are computed anew when other photos lie at the same path', async () => {
    const path = join(folder, 'changing.tar');
    const [first, second] = await readTarPhotos([photos], 2);
    await writeTar(path, [['a.jpg', first!.jpeg]]);
    const before = await embedPhotos([path], BUNDLED, 10);
    await writeTar(path, [['a.jpg', second!.jpeg]]);
    const after = await embedPhotos([path], BUNDLED, 10);
    expect(after.rows[0]).not.toEqual(before.rows[0]);
  });

  it('have a key that knows the photos, the recipe, the decoder and the runtime', async () => {
    const some = await readTarPhotos([photos], 2);
    const recipe = recipeOf(await readManifest(BUNDLED), { preprocessing: 'exact', providers: ['cpu'] });
    const key = embeddingsKey(some, recipe);
    await embedPhotos([photos], BUNDLED, 2);
    expect(await readdir(kept())).toContain(`${key}.f32`);
    const others = [DECODER_VERSION, RUNTIME_VERSION, 'exact', 'cpu'].map((part) => {
      expect(recipe).toContain(part);
      return embeddingsKey(some, recipe.replace(part, 'another'));
    });
    others.push(embeddingsKey([...some].reverse(), recipe), embeddingsKey(some.slice(1), recipe));
    expect(new Set([key, ...others]).size).toBe(1 + others.length);
  });

  it("are not made by a model that is another than its manifest's", async () => {
    const model = await mkdtemp(join(folder, 'model-'));
    const manifest = await readManifest(BUNDLED);
    await symlink(resolve(BUNDLED, manifest.file.path), join(model, manifest.file.path));
    const file = { ...manifest.file, sha256: '0'.repeat(64) };
    await writeFile(join(model, 'manifest.json'), JSON.stringify({ ...manifest, file }));
    await expect(embedPhotos([photos], model, 2)).rejects.toThrow(/SHA-256 of .*model.onnx is .*, not 0{64}/);
  });
});
