import sharp from 'sharp';
import type { FeatureExtractor } from '#dino/inference/feature-extractor.js';
import type { Grid } from '#dino/inference/features.js';
import type { KeyFeatures } from '#dino/segmentation/key-features.js';
import type { Box, Point } from '#dino/segmentation/prompt-place.js';
import { cellEdges } from '#dino/vision/grid-cover.js';
import { createImageReader } from '#dino/vision/image-reader.js';
import type { Pixels } from '#dino/vision/pixels.js';
import { readTar } from './photos.js';
import { UsageError } from './read-options.js';
import type { ScoreSheet, Shares } from './masks-scores.js';

export interface Photo {
  readonly jpeg: Buffer;
  readonly mask: Buffer;
}

/** A photo's features, and its true object. */
export interface Sample {
  readonly pixels: Pixels;
  /** One byte a pixel. */
  readonly truth: Uint8Array;
  /** The attention of each head. */
  readonly heads: readonly Float32Array[];
  readonly features: KeyFeatures;
  readonly grid: Grid;
  /** A click on the object: the pixel of it that is farthest from its edge. */
  readonly point: Point;
  /** The box around the object. */
  readonly box: Box;
  /** Shares of a mask of patches, exactly as if it were expanded to the photo's size. */
  readonly sharesOf: (cells: Uint8Array) => Shares;
}

/**
 * @param path tar of NAME.jpg and NAME.mask.png
 * @throws UsageError when it is no such tar
 */
export async function readPhotos(path: string): Promise<Photo[]> {
  const files = new Map<string, Buffer>();
  for await (const { name, bytes } of readTar(path)) files.set(name, bytes);
  const names = [...files.keys()].filter((name) => name.endsWith('.jpg'));
  if (names.length === 0) throw new UsageError(`there is no .jpg in ${path}`);
  return names.sort().map((name) => {
    const mask = files.get(name.replace(/\.jpg$/, '.mask.png'));
    if (mask === undefined) throw new UsageError(`${name} has no mask in ${path}`);
    return { jpeg: files.get(name)!, mask };
  });
}

const reader = createImageReader({ maxPixels: 50_000_000, timeoutSeconds: 60, preprocessing: 'exact' });

/** Has the model look at a photo; its times, and those of the photo's embedding, go to the sheet. */
export async function look(
  photo: Photo,
  size: number,
  extractor: FeatureExtractor,
  sheet: ScoreSheet,
): Promise<Sample> {
  const { input, preprocessing } = extractor.manifest;
  const small = await reader.forEmbedding(photo.jpeg, preprocessing);
  await timed(sheet, 'embedding, without decoding', () => extractor.extract(small.pixels, ['embedding']));
  const scaled = await reader.forPatches(photo.jpeg, { longerSide: size, multipleOf: input.multipleOf });
  const { grid, attention, keys } = await timed(sheet, `forward pass at ${size} px`, () =>
    extractor.extract(scaled.pixels, ['attention', 'keys']),
  );
  const n = grid.width * grid.height;
  const heads = Array.from({ length: attention!.length / n }, (_, head) =>
    attention!.slice(head * n, (head + 1) * n),
  );
  const { pixels } = await reader.whole(photo.jpeg, { maxPixels: Infinity });
  const grey = await sharp(photo.mask).toColourspace('b-w').extractChannel(0).raw().toBuffer();
  const truth = Uint8Array.from(grey, (value) => (value > 127 ? 1 : 0));
  const { width, height } = pixels;
  if (truth.length !== width * height) throw new Error('the mask is not of the size of its photo');
  const features = { keys: keys!, dimension: keys!.length / n, grid };
  const prompts = promptsOf(truth, width, height);
  return {
    pixels,
    truth,
    heads,
    features,
    grid,
    ...prompts,
    sharesOf: patchShares(truth, width, height, grid),
  };
}

/** Runs work and notes how long it took. */
export async function timed<T>(sheet: ScoreSheet, name: string, work: () => T | Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work();
  sheet.noteTime(name, performance.now() - start);
  return result;
}

function patchShares(truth: Uint8Array, width: number, height: number, grid: Grid): Sample['sharesOf'] {
  const columns = cellEdges(width, grid.width);
  const rows = cellEdges(height, grid.height);
  const n = grid.width * grid.height;
  const [objectPixels, patchPixels] = [new Float64Array(n), new Float64Array(n)];
  for (let patch = 0; patch < n; patch++) {
    const [row, column] = [Math.floor(patch / grid.width), patch % grid.width];
    for (let y = rows[row]!; y < rows[row + 1]!; y++) {
      for (let x = columns[column]!; x < columns[column + 1]!; x++) {
        patchPixels[patch]!++;
        objectPixels[patch]! += truth[y * width + x]!;
      }
    }
  }
  const object = objectPixels.reduce((sum, pixels) => sum + pixels, 0);
  return (cells) => {
    let [both, mask] = [0, 0];
    cells.forEach((inside, patch) => {
      if (inside === 0) return;
      both += objectPixels[patch]!;
      mask += patchPixels[patch]!;
    });
    return { both, mask, object, all: width * height };
  };
}

function promptsOf(truth: Uint8Array, width: number, height: number): { point: Point; box: Box } {
  // Steps to the nearest pixel outside, a side of a pixel each; beyond the photo all is outside.
  const depth = new Uint32Array(truth.length);
  const at = (x: number, y: number) =>
    x < 0 || y < 0 || x >= width || y >= height ? 0 : depth[y * width + x]!;
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (truth[y * width + x] === 0) continue;
      depth[y * width + x] = 1 + Math.min(at(x - 1, y), at(x, y - 1));
      [left, top, right, bottom] = [
        Math.min(left, x),
        Math.min(top, y),
        Math.max(right, x + 1),
        Math.max(bottom, y + 1),
      ];
    }
  }
  let deepest = 0;
  for (let pixel = truth.length - 1; pixel >= 0; pixel--) {
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    depth[pixel] = Math.min(depth[pixel]!, 1 + Math.min(at(x + 1, y), at(x, y + 1)));
    if (depth[pixel]! > depth[deepest]!) deepest = pixel;
  }
  return {
    point: [deepest % width, Math.floor(deepest / width)],
    box: [left, top, right - left, bottom - top],
  };
}
