import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { keyOf, recipeOf } from '#dino/inference/cache/recipe.js';
import { verifyModelFile } from '#dino/models/model-folder.js';
import type { Manifest } from '#dino/models/manifest.js';
import { createImageReader } from '#dino/vision/image-reader.js';
import { BUNDLED, readManifest } from './bench-server.js';
import { ASKED_PHOTOS, readTarPhotos, STORED_PHOTOS, type TarPhoto } from './photos.js';

/** Options of a verb that takes its vectors from here. */
export const VECTOR_OPTIONS = {
  photos: {
    value: 'FILE[,..]',
    meaning: 'tars of CLASS/NAME.jpg',
    fallback: STORED_PHOTOS,
  },
  asked: {
    value: 'FILE',
    meaning: 'tar of the photos that are searched for',
    fallback: ASKED_PHOTOS,
  },
  model: { value: 'DIR', meaning: 'folder of model.onnx and manifest.json', fallback: BUNDLED },
  limit: { value: 'N', meaning: 'embed so many photos of each', fallback: 1500, min: 1, max: 1e6 },
} as const;

/** Embeddings of photos, row by row. */
export interface Embeddings {
  readonly dimension: number;
  readonly rows: readonly Float32Array[];
  /** Paths of the photos in their tars. */
  readonly names: readonly string[];
}

const BATCH = 16;

const HOW = { preprocessing: 'exact', providers: ['cpu'] } as const;

/**
 * Embeddings of the first `limit` photos of tars by the model in a folder. Kept in the system's temporary folder,
 * so that the next run need not compute them again.
 *
 * @throws Error when the model's file is not the one in its manifest
 */
export async function embedPhotos(
  tars: readonly string[],
  modelFolder: string,
  limit: number,
): Promise<Embeddings> {
  const photos = await readTarPhotos(tars, limit);
  const manifest = await readManifest(modelFolder);
  const folder = join(tmpdir(), 'dino-bench-embeddings');
  const cache = join(folder, `${embeddingsKey(photos, recipeOf(manifest, HOW))}.f32`);
  const dimension = manifest.architecture.embedDim;
  if (!existsSync(cache)) {
    const modelPath = await verifyModelFile(modelFolder, manifest);
    const computed = await embed(photos, modelPath, manifest);
    await mkdir(folder, { recursive: true });
    await writeFile(`${cache}.tmp`, computed);
    await rename(`${cache}.tmp`, cache);
  }
  const bytes = await readFile(cache);
  const all = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  const rows = Array.from({ length: all.length / dimension }, (_, i) =>
    normalize(all.slice(i * dimension, (i + 1) * dimension)),
  );
  return { dimension, rows, names: photos.map(({ name }) => name) };
}

/**
 * The same for the same photos and recipe, and for no other: 64 hex digits.
 *
 * @param recipe everything else that the numbers depend on
 */
export function embeddingsKey(photos: readonly TarPhoto[], recipe: string): string {
  const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
  return keyOf(photos.map(({ jpeg }) => hash(jpeg)).join(), recipe);
}

/** @returns rows of float32, not of unit length */
async function embed(
  photos: readonly TarPhoto[],
  modelPath: string,
  { preprocessing }: Manifest,
): Promise<Buffer> {
  const session = await InferenceSession.create(modelPath);
  const { crop, resize } = preprocessing;
  const reader = createImageReader({
    maxPixels: 50_000_000,
    timeoutSeconds: 60,
    preprocessing: HOW.preprocessing,
  });
  const parts: Buffer[] = [];
  for (let from = 0; from < photos.length; from += BATCH) {
    const batch = photos.slice(from, from + BATCH);
    const pixels = new Uint8Array(batch.length * crop * crop * 3);
    for (const [i, { jpeg }] of batch.entries()) {
      pixels.set((await reader.forEmbedding(jpeg, { crop, resize })).pixels.data, i * crop * crop * 3);
    }
    const feeds = { pixels: new Tensor('uint8', pixels, [batch.length, crop, crop, 3]) };
    const { embedding } = await session.run(feeds, ['embedding']);
    parts.push(Buffer.from(Float32Array.from(embedding!.data as Float32Array).buffer));
  }
  await session.release();
  return Buffer.concat(parts);
}

/**
 * Vector number `i` of an endless row that is the same in every run. The first are the embeddings themselves; beyond,
 * and where another dimension is wanted, they are perturbed: an embedding, up to half as much of another, and noise of
 * a fifth of its length, normalised. For more elements than the model gives, several such are put one after the
 * other.
 */
export function vectorAt(real: Embeddings, dimension: number, i: number, seed = 1): Float32Array {
  if (dimension === real.dimension && i < real.rows.length) return real.rows[i]!;
  const random = generator(Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b));
  const base = real.rows[i % real.rows.length]!;
  const vector = new Float32Array(dimension);
  const noise = (0.2 * Math.sqrt(3)) / Math.sqrt(real.dimension);
  const other = real.rows[Math.floor(random() * real.rows.length)]!;
  const share = random() / 2;
  for (let j = 0; j < dimension; j++) {
    const at = j % real.dimension;
    vector[j] = base[at]! + share * other[at]! + noise * (2 * random() - 1);
  }
  return normalize(vector);
}

/** mulberry32 */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The same direction at unit length. */
export function normalize(vector: Float32Array): Float32Array {
  let square = 0;
  for (const element of vector) square += element * element;
  return vector.map((element) => element / Math.sqrt(square));
}
