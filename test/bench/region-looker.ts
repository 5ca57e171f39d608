import sharp from 'sharp';
import type { FeatureExtractor } from '#dino/inference/feature-extractor.js';
import { createImageReader } from '#dino/vision/image-reader.js';
import { normalize } from './real-vectors.js';
import type { Box, Scene } from './region-scenes.js';

/** Vectors that stand for photos and for regions of them. */
export class RegionLooker {
  readonly #reader = createImageReader({ maxPixels: 50_000_000, timeoutSeconds: 20, preprocessing: 'exact' });
  readonly #extractor: FeatureExtractor;
  readonly #sizes: readonly number[];

  /** @param sizes longer sides in px at which patches are looked at */
  constructor(extractor: FeatureExtractor, sizes: readonly number[]) {
    this.#extractor = extractor;
    this.#sizes = sizes;
  }

  /** The whole photo's CLS token, of unit length. */
  async embed(image: Buffer): Promise<Float32Array> {
    const { pixels } = await this.#reader.forEmbedding(image, this.#extractor.manifest.preprocessing);
    return normalize((await this.#extractor.extract(pixels, ['embedding'])).embedding!);
  }

  /** By what is done, in words. */
  async vectorsOf(scene: Scene): Promise<Map<string, Float32Array>> {
    const crop = ([left, top, width, height]: Box) =>
      sharp(scene.png).extract({ left, top, width, height }).png().toBuffer();
    const ways = new Map([
      ['CLS of the whole scene', await this.embed(scene.png)],
      ['CLS of the box', await this.embed(await crop(scene.box))],
      ['CLS of the smallest square around the box', await this.embed(await crop(squareAround(scene)))],
    ]);
    for (const size of this.#sizes) {
      const { pixels } = await this.#reader.forPatches(scene.png, {
        longerSide: size,
        multipleOf: this.#extractor.manifest.input.multipleOf,
      });
      const features = await this.#extractor.extract(pixels, ['patch_tokens', 'attention']);
      const { grid } = features;
      const inside = cellsInside(scene, grid);
      const attention = new Float32Array(inside.length);
      features.attention!.forEach((value, at) => (attention[at % inside.length]! += value));
      const tokens = features.patchTokens!;
      ways.set(`mean of the region's patch tokens, ${size} px`, pool(tokens, inside));
      const weights = attention.map((value, patch) => value * inside[patch]!);
      ways.set(`the same weighted by CLS attention, ${size} px`, pool(tokens, weights));
    }
    return ways;
  }
}

/** 1 for the patches whose centre lies in the box, else 0. */
function cellsInside({ width, height, box }: Scene, grid: { width: number; height: number }): Float32Array {
  const cells = new Float32Array(grid.width * grid.height);
  return cells.map((_, patch) => {
    const x = (((patch % grid.width) + 0.5) * width) / grid.width;
    const y = ((Math.floor(patch / grid.width) + 0.5) * height) / grid.height;
    const [left, top, boxWidth, boxHeight] = box;
    return x >= left && x < left + boxWidth && y >= top && y < top + boxHeight ? 1 : 0;
  });
}

function pool(tokens: Float32Array, weights: Float32Array): Float32Array {
  const dimension = tokens.length / weights.length;
  const sum = new Float32Array(dimension);
  tokens.forEach((value, at) => (sum[at % dimension]! += value * weights[Math.floor(at / dimension)]!));
  return normalize(sum);
}

function squareAround({ width, height, box: [x, y, boxWidth, boxHeight] }: Scene): Box {
  const side = Math.max(boxWidth, boxHeight);
  const along = (start: number, length: number, limit: number): [number, number] => {
    const taken = Math.min(side, limit);
    const from = Math.round(start + (length - taken) / 2);
    return [Math.min(Math.max(from, 0), limit - taken), taken];
  };
  const [left, squareWidth] = along(x, boxWidth, width);
  const [top, squareHeight] = along(y, boxHeight, height);
  return [left, top, squareWidth, squareHeight];
}
