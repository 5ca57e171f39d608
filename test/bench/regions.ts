import { createReadStream, existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { extract } from 'tar-stream';
import { FeatureExtractor } from '#dino/inference/feature-extractor.js';
import { manifestSchema, type Manifest } from '#dino/models/manifest.js';
import { createImageReader } from '#dino/vision/image-reader.js';

const USAGE = `Usage: npm run bench -- regions [options]
What stands for a region of a photo in a search among embeddings of whole photos: how often the nearest has the
region's class. The queries are labelled photos pasted into a scene, so that the region is known.
  --stored FILE[,FILE]  tars of CLASS/NAME.jpg that are searched (default ../shared/data/caltech101-train-0.tar)
  --asked FILE          tar of the photos that are pasted (default ../shared/data/caltech101-val.tar)
  --model DIR           folder of model.onnx and manifest.json (default models/dino-vitmicro16-photos)
  --size PX             longer side at which patches are looked at (default: the manifest's)
  --limit N             ask about so many photos, evenly taken (default 250)`;

const GROUND = 'BACKGROUND_Google';

interface Photo {
  readonly label: string;
  readonly jpeg: Buffer;
}

type Box = readonly [x: number, y: number, width: number, height: number];

interface Scene {
  readonly png: Buffer;
  readonly width: number;
  readonly height: number;
  /** Where the photo lies in the scene. */
  readonly box: Box;
}

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      stored: { type: 'string', default: '../shared/data/caltech101-train-0.tar' },
      asked: { type: 'string', default: '../shared/data/caltech101-val.tar' },
      model: { type: 'string', default: 'models/dino-vitmicro16-photos' },
      size: { type: 'string' },
      limit: { type: 'string', default: '250' },
      help: { type: 'boolean', default: false },
    },
  });
  const paths = [...values.stored.split(','), values.asked];
  const missing = paths.find((path) => !existsSync(path));
  if (values.help || missing !== undefined) {
    console.log(values.help ? USAGE : `There are no photos at ${missing}.\n${USAGE}`);
    process.exitCode = values.help ? 0 : 1;
    return;
  }
  const manifest = manifestSchema.parse(
    JSON.parse(await readFile(join(values.model, 'manifest.json'), 'utf8')),
  );
  const stored = (await Promise.all(values.stored.split(',').map(readPhotos))).flat();
  const asked = await readPhotos(values.asked);
  const grounds = stored.filter(({ label }) => label === GROUND);
  const looker = await Looker.open(manifest, values.model, Number(values.size ?? NaN));
  try {
    const gallery: { label: string; vector: Float32Array }[] = [];
    for (const { label, jpeg } of stored.filter(({ label }) => label !== GROUND)) {
      gallery.push({ label, vector: await looker.embed(jpeg) });
    }
    const labelled = asked.filter(({ label }) => label !== GROUND);
    const queries = everyNth(labelled, Math.max(1, labelled.length / Number(values.limit)));
    console.log(`${queries.length} photos asked, ${gallery.length} stored, model ${manifest.name}`);
    for (const [name, draw] of Object.entries(SCENES)) {
      const right = new Map<string, number>();
      for (const [index, query] of queries.entries()) {
        const scene = await draw(
          query,
          grounds[index % grounds.length]!,
          queries[(index + 1) % queries.length]!,
        );
        for (const [way, vector] of await looker.vectorsOf(scene)) {
          const same = nearestLabel(gallery, vector) === query.label ? 1 : 0;
          right.set(way, (right.get(way) ?? 0) + same);
        }
      }
      console.log(`\n${name}: nearest of the same class`);
      for (const [way, count] of right) {
        console.log(`  ${way.padEnd(42)} ${((100 * count) / queries.length).toFixed(1).padStart(5)} %`);
      }
    }
  } finally {
    await looker.close();
  }
}

/** Scenes by name: the photo somewhere in a photo of nothing in particular, or beside another photo. */
const SCENES: Record<string, (query: Photo, ground: Photo, other: Photo) => Promise<Scene>> = {
  'half as wide as its ground': async (query, ground) => {
    const side = 480;
    const [width, height] = await fitInto(query, side / 2);
    const [x, y] = [Math.round((side - width) * 0.7), Math.round((side - height) * 0.4)];
    const base = sharp(ground.jpeg).resize(side, side, { fit: 'cover' });
    const input = await sharp(query.jpeg).resize(width, height, { fit: 'fill' }).toBuffer();
    const png = await base
      .composite([{ input, left: x, top: y }])
      .png()
      .toBuffer();
    return { png, width: side, height: side, box: [x, y, width, height] };
  },
  'beside another photo': async (query, _ground, other) => {
    const height = 240;
    const left = await sharp(other.jpeg).resize({ height }).toBuffer({ resolveWithObject: true });
    const right = await sharp(query.jpeg).resize({ height }).toBuffer({ resolveWithObject: true });
    const width = left.info.width + right.info.width;
    const png = await sharp({ create: { width, height, channels: 3, background: '#fff' } })
      .composite([
        { input: left.data, left: 0, top: 0 },
        { input: right.data, left: left.info.width, top: 0 },
      ])
      .png()
      .toBuffer();
    return { png, width, height, box: [left.info.width, 0, right.info.width, height] };
  },
  'the photo itself, without a fifth on each side': async (query) => {
    const { data, info } = await sharp(query.jpeg).png().toBuffer({ resolveWithObject: true });
    const [x, y] = [Math.round(info.width / 5), Math.round(info.height / 5)];
    const box: Box = [x, y, info.width - 2 * x, info.height - 2 * y];
    return { png: data, width: info.width, height: info.height, box };
  },
};

class Looker {
  readonly #reader = createImageReader({ maxPixels: 50_000_000, timeoutSeconds: 20, preprocessing: 'exact' });
  readonly #manifest: Manifest;
  readonly #extractor: FeatureExtractor;
  readonly #sizes: readonly number[];

  private constructor(manifest: Manifest, extractor: FeatureExtractor, size: number) {
    this.#manifest = manifest;
    this.#extractor = extractor;
    this.#sizes = Number.isNaN(size) ? [224, manifest.preprocessing.attentionSize] : [size];
  }

  static async open(manifest: Manifest, folder: string, size: number): Promise<Looker> {
    const extractor = await FeatureExtractor.create({
      manifest,
      modelPath: join(folder, manifest.file.path),
      providers: ['cpu'],
      workers: 1,
      threads: 0,
      maxBatch: 1,
    });
    return new Looker(manifest, extractor, size);
  }

  close(): Promise<void> {
    return this.#extractor.close();
  }

  async embed(image: Buffer): Promise<Float32Array> {
    const { pixels } = await this.#reader.forEmbedding(image, this.#manifest.preprocessing);
    return unit((await this.#extractor.extract(pixels, ['embedding'])).embedding!);
  }

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
        multipleOf: this.#manifest.input.multipleOf,
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

function everyNth<T>(all: readonly T[], n: number): T[] {
  return Array.from({ length: Math.floor(all.length / n) }, (_, index) => all[Math.floor(index * n)]!);
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
  return unit(sum);
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

function unit(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

function nearestLabel(
  gallery: readonly { label: string; vector: Float32Array }[],
  query: Float32Array,
): string {
  let [best, bestScore] = ['', -Infinity];
  for (const { label, vector } of gallery) {
    let score = 0;
    for (let at = 0; at < query.length; at++) score += query[at]! * vector[at]!;
    if (score > bestScore) [best, bestScore] = [label, score];
  }
  return best;
}

async function fitInto({ jpeg }: Photo, side: number): Promise<[width: number, height: number]> {
  const { width, height } = await sharp(jpeg).metadata();
  const scale = side / Math.max(width, height);
  return [Math.round(width * scale), Math.round(height * scale)];
}

async function readPhotos(path: string): Promise<Photo[]> {
  const photos: Photo[] = [];
  for await (const entry of createReadStream(path).pipe(extract())) {
    const parts: Buffer[] = [];
    for await (const part of entry) parts.push(part as Buffer);
    const [label, name] = entry.header.name.split('/');
    if (name?.endsWith('.jpg')) photos.push({ label: label!, jpeg: Buffer.concat(parts) });
  }
  return photos;
}
