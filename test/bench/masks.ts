import { createReadStream, existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { extract } from 'tar-stream';
import { FeatureExtractor } from '#dino/inference/feature-extractor.js';
import type { Grid } from '#dino/inference/features.js';
import { manifestSchema } from '#dino/models/manifest.js';
import { topMassCells } from '#dino/segmentation/attention-mask.js';
import { largestComponent } from '#dino/segmentation/connected-component.js';
import { cellEdges } from '#dino/vision/grid-cover.js';
import { lostMasks } from '#dino/segmentation/lost.js';
import { tokenCutMasks } from '#dino/segmentation/tokencut.js';
import { scoreHead, type HeadMask } from '#dino/segmentation/head-criterion.js';
import { createImageReader } from '#dino/vision/image-reader.js';
import { CRITERIA } from './masks-criteria.js';

const USAGE = `Usage: npm run bench -- masks [options]
How well attention masks find the salient object: mean IoU over photos with pixel masks.
  --data FILE           tar of NAME.jpg and NAME.mask.png (default ../shared/data/ecssd-dev.tar)
  --model DIR           folder of model.onnx and manifest.json (default models/dino-vitt16-photos)
  --size PX[,PX...]     longer side at which the model looks (default: the manifest's)
  --threshold T[,T...]  share of the attention kept (default 0.6)
  --limit N             first N photos only
  --json FILE           write all numbers there
  Example: npm run bench -- masks --size 224,480 --threshold 0.5,0.6,0.7`;

/** Attention over one photo, and how much of the true object each patch covers. */
interface Sample {
  readonly heads: readonly Float32Array[];
  readonly grid: Grid;
  /** Pixels of the object within each patch. */
  readonly objectPixels: Float64Array;
  /** Pixels of each patch. */
  readonly patchPixels: Float64Array;
  /** What the methods on keys find, by name; empty where they find nothing. */
  readonly keyMasks: readonly (readonly [name: string, cells: Uint8Array])[];
}

const TAUS = [0.2, 0.3, 0.4, 0.5, 0.6];

interface Row {
  readonly choice: string;
  readonly meanIou: number;
}

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      data: { type: 'string', default: '../shared/data/ecssd-dev.tar' },
      model: { type: 'string', default: 'models/dino-vitt16-photos' },
      size: { type: 'string' },
      threshold: { type: 'string', default: '0.6' },
      limit: { type: 'string', default: 'Infinity' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help || !existsSync(values.data)) {
    console.log(values.help ? USAGE : `There are no photos at ${values.data}.\n${USAGE}`);
    process.exitCode = values.help ? 0 : 1;
    return;
  }
  const manifest = manifestSchema.parse(
    JSON.parse(await readFile(join(values.model, 'manifest.json'), 'utf8')),
  );
  const sizes = values.size?.split(',').map(Number) ?? [manifest.preprocessing.attentionSize];
  const thresholds = values.threshold.split(',').map(Number);
  const photos = (await readPhotos(values.data)).slice(0, Number(values.limit));
  const extractor = await FeatureExtractor.create({
    manifest,
    modelPath: join(values.model, manifest.file.path),
    providers: ['cpu'],
    workers: 1,
    threads: 0,
    maxBatch: 1,
  });
  console.log(`${photos.length} photos of ${values.data}`);
  console.log(`model ${manifest.name}, sha256 ${manifest.file.sha256.slice(0, 12)}: ${manifest.description}`);
  const results: { size: number; threshold: number; rows: Row[] }[] = [];
  try {
    for (const size of sizes) {
      const samples: Sample[] = [];
      for (const photo of photos) samples.push(await look(photo, size, extractor));
      for (const threshold of thresholds) {
        const rows = measure(samples, threshold);
        results.push({ size, threshold, rows });
        print(size, threshold, rows);
      }
    }
  } finally {
    await extractor.close();
  }
  if (values.json !== undefined) {
    const { name, file, description } = manifest;
    const document = {
      model: { name, sha256: file.sha256, description },
      data: values.data,
      photos: photos.length,
      results,
    };
    await writeFile(values.json, `${JSON.stringify(document, undefined, 2)}\n`);
  }
}

interface Photo {
  readonly jpeg: Buffer;
  readonly mask: Buffer;
}

async function readPhotos(path: string): Promise<Photo[]> {
  const files = new Map<string, Buffer>();
  for await (const entry of createReadStream(path).pipe(extract())) {
    const parts: Buffer[] = [];
    for await (const part of entry) parts.push(part as Buffer);
    files.set(entry.header.name, Buffer.concat(parts));
  }
  return [...files.keys()]
    .filter((name) => name.endsWith('.jpg'))
    .sort()
    .map((name) => {
      const mask = files.get(name.replace(/\.jpg$/, '.mask.png'));
      if (mask === undefined) throw new Error(`${name} has no mask in ${path}`);
      return { jpeg: files.get(name)!, mask };
    });
}

const reader = createImageReader({ maxPixels: 50_000_000, timeoutSeconds: 60, preprocessing: 'exact' });

async function look(photo: Photo, size: number, extractor: FeatureExtractor): Promise<Sample> {
  const { multipleOf } = extractor.manifest.input;
  const { pixels, info } = await reader.forPatches(photo.jpeg, { longerSide: size, multipleOf });
  const { grid, attention, keys } = await extractor.extract(pixels, ['attention', 'keys']);
  const n = grid.width * grid.height;
  const heads = Array.from({ length: attention!.length / n }, (_, head) =>
    attention!.slice(head * n, (head + 1) * n),
  );
  const truth = await sharp(photo.mask).toColourspace('b-w').extractChannel(0).raw().toBuffer();
  if (truth.length !== info.width * info.height) throw new Error('the mask is not of the size of its photo');
  const columns = cellEdges(info.width, grid.width);
  const rows = cellEdges(info.height, grid.height);
  const [objectPixels, patchPixels] = [new Float64Array(n), new Float64Array(n)];
  for (let patch = 0; patch < n; patch++) {
    const [row, column] = [Math.floor(patch / grid.width), patch % grid.width];
    for (let y = rows[row]!; y < rows[row + 1]!; y++) {
      for (let x = columns[column]!; x < columns[column + 1]!; x++) {
        patchPixels[patch]!++;
        if (truth[y * info.width + x]! > 127) objectPixels[patch]!++;
      }
    }
  }
  const features = { keys: keys!, dimension: keys!.length / n, grid };
  const found = {
    ...Object.fromEntries(TAUS.map((tau) => [`tokencut, tau ${tau}`, tokenCutMasks({ ...features, tau })])),
    lost: lostMasks(features),
  };
  const keyMasks = Object.entries(found).map(
    ([name, masks]) => [name, masks[0]?.cells ?? new Uint8Array(n)] as const,
  );
  return { heads, grid, objectPixels, patchPixels, keyMasks };
}

/** Intersection over union in pixels, exactly as if the mask were expanded to the photo's size. */
function iouOf(sample: Sample, cells: Uint8Array): number {
  let [both, either] = [0, 0];
  cells.forEach((inside, patch) => {
    if (inside !== 0) both += sample.objectPixels[patch]!;
    either += inside !== 0 ? sample.patchPixels[patch]! : sample.objectPixels[patch]!;
  });
  return either === 0 ? 1 : both / either;
}

function measure(samples: readonly Sample[], threshold: number): Row[] {
  const ious = new Map<string, number[]>();
  const note = (choice: string, iou: number) => {
    const list = ious.get(choice) ?? [];
    ious.set(choice, [...list, iou]);
  };
  for (const sample of samples) {
    const { heads, grid } = sample;
    const masks: HeadMask[] = heads.map((attention) => ({
      attention,
      cells: topMassCells(attention, threshold),
      grid,
    }));
    const perHead = masks.map(({ cells }) => iouOf(sample, cells));
    perHead.forEach((iou, head) => note(`head ${head}`, iou));
    note('a head at random (expected)', perHead.reduce((sum, iou) => sum + iou, 0) / perHead.length);
    note('the best head by the truth (bound)', Math.max(...perHead));
    note("best by the service's criterion", perHead[argMax(masks.map(scoreHead))]!);
    for (const [name, criterion] of Object.entries(CRITERIA)) {
      note(`best by: ${name}`, perHead[argMax(masks.map((mask) => criterion(mask, masks)))]!);
    }
    const mean = meanAttention(heads);
    const ofMean = topMassCells(mean, threshold);
    note('mean of heads', iouOf(sample, ofMean));
    note('mean of heads, largest part', iouOf(sample, largestComponent(ofMean, grid, mean).cells));
    note('union of heads', iouOf(sample, atLeast(masks, 1)));
    note('majority of heads', iouOf(sample, atLeast(masks, Math.floor(heads.length / 2) + 1)));
    for (const [name, cells] of sample.keyMasks) note(name, iouOf(sample, cells));
    note('baseline: whole image', iouOf(sample, new Uint8Array(mean.length).fill(1)));
    note('baseline: middle half each way', iouOf(sample, middleBox(grid, 0.5)));
    note('baseline: middle 70 % each way', iouOf(sample, middleBox(grid, 0.7)));
  }
  return [...ious].map(([choice, list]) => ({
    choice,
    meanIou: list.reduce((sum, iou) => sum + iou, 0) / list.length,
  }));
}

function argMax(scores: readonly number[]): number {
  return scores.indexOf(Math.max(...scores));
}

function meanAttention(heads: readonly Float32Array[]): Float32Array {
  const mean = new Float32Array(heads[0]!.length);
  for (const attention of heads) {
    const total = attention.reduce((sum, value) => sum + value, 0);
    attention.forEach((value, patch) => (mean[patch]! += value / total / heads.length));
  }
  return mean;
}

function atLeast(masks: readonly HeadMask[], votes: number): Uint8Array {
  return masks[0]!.cells.map((_, patch) =>
    masks.filter(({ cells }) => cells[patch] !== 0).length >= votes ? 1 : 0,
  );
}

function middleBox(grid: Grid, share: number): Uint8Array {
  const isMiddle = (at: number, length: number) => Math.abs((at + 0.5) / length - 0.5) < share / 2;
  return Uint8Array.from({ length: grid.width * grid.height }, (_, patch) => {
    const [row, column] = [Math.floor(patch / grid.width), patch % grid.width];
    return isMiddle(row, grid.height) && isMiddle(column, grid.width) ? 1 : 0;
  });
}

function print(size: number, threshold: number, rows: readonly Row[]): void {
  console.log(`\nlonger side ${size} px, threshold ${threshold}: mean IoU`);
  for (const { choice, meanIou } of rows) console.log(`  ${choice.padEnd(42)} ${(100 * meanIou).toFixed(1)}`);
}
