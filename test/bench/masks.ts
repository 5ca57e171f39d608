import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FeatureExtractor } from '#dino/inference/feature-extractor.js';
import { manifestSchema } from '#dino/models/manifest.js';
import { PUBLISHED, scoreHeads, scoreMethods } from './masks-methods.js';
import { look, readPhotos } from './masks-photos.js';
import { ScoreSheet, type Scores } from './masks-scores.js';

const USAGE = `Usage: npm run bench -- masks [options]
How well masks find the salient object, and what they cost: means over photos with pixel masks.
  --data FILE           tar of NAME.jpg and NAME.mask.png (default ../shared/data/ecssd-dev.tar)
  --model DIR           folder of model.onnx and manifest.json (default models/dino-vitmicro16-photos)
  --size PX[,PX...]     longer side at which the model looks (default: the manifest's)
  --threshold T[,T...]  attention: share of it that is kept (default 0.6)
  --heads               score ways of choosing a head too
  --limit N             first N photos only
  --json FILE           write all numbers there
  Example: npm run bench -- masks --size 224,480 --threshold 0.5,0.6,0.7`;

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      data: { type: 'string', default: '../shared/data/ecssd-dev.tar' },
      model: { type: 'string', default: 'models/dino-vitmicro16-photos' },
      size: { type: 'string' },
      threshold: { type: 'string', default: '0.6' },
      limit: { type: 'string', default: 'Infinity' },
      heads: { type: 'boolean', default: false },
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
  const results: object[] = [];
  try {
    for (const size of sizes) {
      for (const threshold of thresholds) {
        const sheet = new ScoreSheet();
        for (const photo of photos) {
          const sample = await look(photo, size, extractor, sheet);
          await scoreMethods(sample, threshold, sheet);
          scoreHeads(sample, threshold, values.heads, sheet);
        }
        results.push({ size, threshold, scores: sheet.rows(), times: sheet.times() });
        print(size, threshold, sheet);
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

function print(size: number, threshold: number, sheet: ScoreSheet): void {
  console.log(`\nlonger side ${size} px, threshold ${threshold}; ${HEADINGS}`);
  for (const { name, scores } of sheet.rows()) console.log(`  ${name.padEnd(52)} ${percentages(scores)}`);
  console.log(`\npublished for the official ViT-S/16 on the whole of ECSSD; ${HEADINGS}`);
  for (const [name, iou, fBeta, accuracy] of PUBLISHED) {
    const scores = { iou: iou / 100, fBeta: fBeta / 100, accuracy: accuracy / 100 };
    console.log(`  ${name.padEnd(52)} ${percentages(scores)}`);
  }
  console.log('\nmilliseconds a photo; mean, median');
  for (const { name, meanMs, medianMs } of sheet.times()) {
    console.log(`  ${name.padEnd(52)} ${meanMs.toFixed(1).padStart(8)} ${medianMs.toFixed(1).padStart(8)}`);
  }
}

const HEADINGS = 'mean IoU, max F-beta (beta squared 0.3), pixel accuracy in %';

function percentages({ iou, fBeta, accuracy }: Scores): string {
  return [iou, fBeta, accuracy].map((share) => (100 * share).toFixed(1).padStart(6)).join(' ');
}
