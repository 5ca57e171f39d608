import { BUNDLED } from './bench-server.js';
import { openExtractor } from './extractor.js';
import { PUBLISHED, scoreHeads, scoreMethods } from './masks-methods.js';
import { look, readPhotos } from './masks-photos.js';
import { ScoreSheet, type Scores } from './masks-scores.js';
import { SALIENT_PHOTOS } from './photos.js';
import { readOptions } from './read-options.js';
import { Reporter, type Table } from './report.js';

const VERB = {
  name: 'masks',
  purpose: 'How well masks find the salient object, and what they cost: means over photos with pixel masks.',
  options: {
    photos: { value: 'FILE', meaning: 'tar of NAME.jpg and NAME.mask.png', fallback: SALIENT_PHOTOS },
    limit: { value: 'N', meaning: 'photos of it', fallback: 100_000, min: 1, max: 100_000 },
    model: { value: 'DIR', meaning: 'folder of model.onnx and manifest.json', fallback: BUNDLED },
    size: {
      value: 'PX[,PX..]',
      meaning: "longer side at which the model looks; none: the manifest's",
      fallback: [] as readonly number[],
      min: 16,
      max: 4096,
    },
    threshold: {
      value: 'T[,T..]',
      meaning: 'attention: share of it that is kept',
      fallback: [0.6] as readonly number[],
      min: 0,
      max: 1,
    },
    heads: {
      value: 'yes|no',
      meaning: 'score ways of choosing a head too',
      fallback: 'no',
      oneOf: ['yes', 'no'],
    },
  },
} as const;

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(VERB, args);
  if (options === undefined) return;
  const photos = (await readPhotos(options.photos)).slice(0, options.limit);
  const extractor = await openExtractor(options.model);
  const { name, preprocessing } = extractor.manifest;
  const sizes = options.size.length === 0 ? [preprocessing.attentionSize] : options.size;
  const reporter = new Reporter('masks', options);
  try {
    for (const size of sizes) {
      for (const threshold of options.threshold) {
        const sheet = new ScoreSheet();
        for (const photo of photos) {
          const sample = await look(photo, size, extractor, sheet);
          await scoreMethods(sample, threshold, sheet);
          scoreHeads(sample, threshold, options.heads === 'yes', sheet);
        }
        const setting = `${photos.length} photos, ${name} at ${size} px, threshold ${threshold}`;
        reporter.table(`masks, %: ${setting}`, scoreTable(sheet.rows()));
        reporter.table(`ms a photo: ${setting}`, timeTable(sheet));
      }
    }
    reporter.table('published for the official ViT-S/16 on the whole of ECSSD, %', scoreTable(PUBLISHED));
    await reporter.finish(options.json);
  } finally {
    await extractor.close();
  }
}

function scoreTable(rows: readonly { name: string; scores: Scores }[]): Table {
  const row = ({ iou, fBeta, accuracy }: Scores) => ({
    'mean IoU': 100 * iou,
    'max F-beta': 100 * fBeta,
    accuracy: 100 * accuracy,
  });
  return Object.fromEntries(rows.map(({ name, scores }) => [name, row(scores)]));
}

function timeTable(sheet: ScoreSheet): Table {
  return Object.fromEntries(
    sheet.times().map(({ name, meanMs, medianMs }) => [name, { mean: meanMs, median: medianMs }]),
  );
}
