import { BUNDLED } from './bench-server.js';
import { openExtractor } from './extractor.js';
import type { Labelled } from './knn.js';
import { ASKED_PHOTOS, classOf, NO_CLASS, readTarPhotos, STORED_PHOTOS } from './photos.js';
import { readOptions, UsageError } from './read-options.js';
import { RegionLooker } from './region-looker.js';
import { SCENES } from './region-scenes.js';
import { Reporter, type Table } from './report.js';

const VERB = {
  name: 'regions',
  purpose:
    'What stands for a region of a photo in a search among embeddings of whole photos: how often the nearest has the ' +
    "region's class. The queries are labelled photos pasted into a scene, so that the region is known.",
  options: {
    stored: {
      value: 'FILE[,..]',
      meaning: `tars of CLASS/NAME.jpg that are searched; photos are pasted into those of ${NO_CLASS}`,
      fallback: STORED_PHOTOS,
    },
    asked: {
      value: 'FILE',
      meaning: 'tar of the photos that are pasted',
      fallback: ASKED_PHOTOS,
    },
    model: { value: 'DIR', meaning: 'folder of model.onnx and manifest.json', fallback: BUNDLED },
    size: {
      value: 'PX[,PX..]',
      meaning: "longer side at which patches are looked at; none: 224 and the manifest's",
      fallback: [] as readonly number[],
      min: 16,
      max: 4096,
    },
    limit: { value: 'N', meaning: 'ask about so many photos, evenly taken', fallback: 250, min: 1, max: 1e6 },
  },
} as const;

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(VERB, args);
  if (options === undefined) return;
  const stored = await readTarPhotos(options.stored.split(','), Infinity);
  const labelled = (await readTarPhotos([options.asked], Infinity)).filter(isLabelled);
  const grounds = stored.filter((photo) => !isLabelled(photo));
  if (grounds.length === 0) throw new UsageError(`there is no photo of ${NO_CLASS} in ${options.stored}`);
  if (labelled.length === 0) throw new UsageError(`there is no labelled photo in ${options.asked}`);
  const queries = everyNth(labelled, Math.max(1, labelled.length / options.limit));
  const extractor = await openExtractor(options.model);
  const { name, preprocessing } = extractor.manifest;
  const sizes = options.size.length === 0 ? [224, preprocessing.attentionSize] : options.size;
  const reporter = new Reporter('regions', options);
  try {
    const looker = new RegionLooker(extractor, sizes);
    const gallery: Labelled[] = [];
    for (const photo of stored.filter(isLabelled)) {
      gallery.push({ label: classOf(photo), vector: await looker.embed(photo.jpeg) });
    }
    console.log(`${queries.length} photos asked, ${gallery.length} stored, model ${name}`);
    for (const [scene, draw] of Object.entries(SCENES)) {
      const right = new Map<string, number>();
      for (const [index, query] of queries.entries()) {
        const drawn = await draw({
          query: query.jpeg,
          ground: grounds[index % grounds.length]!.jpeg,
          other: queries[(index + 1) % queries.length]!.jpeg,
        });
        for (const [way, vector] of await looker.vectorsOf(drawn)) {
          const same = nearestLabel(gallery, vector) === classOf(query) ? 1 : 0;
          right.set(way, (right.get(way) ?? 0) + same);
        }
      }
      const rows: Table = {};
      for (const [way, count] of right) rows[way] = { '%': (100 * count) / queries.length };
      reporter.table(`${scene}: nearest of the same class`, rows);
    }
    await reporter.finish(options.json);
  } finally {
    await extractor.close();
  }
}

const isLabelled = (photo: { readonly name: string }): boolean => classOf(photo) !== NO_CLASS;

function everyNth<T>(all: readonly T[], n: number): T[] {
  return Array.from({ length: Math.floor(all.length / n) }, (_, index) => all[Math.floor(index * n)]!);
}

function nearestLabel(gallery: readonly Labelled[], query: Float32Array): string {
  let [best, bestScore] = ['', -Infinity];
  for (const { label, vector } of gallery) {
    let score = 0;
    for (let at = 0; at < query.length; at++) score += query[at]! * vector[at]!;
    if (score > bestScore) [best, bestScore] = [label, score];
  }
  return best;
}
