import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BUNDLED, readManifest } from './bench-server.js';
import {
  startPyTorch,
  startRuntime,
  startService,
  startTransformersJs,
  type Contender,
} from './contenders.js';
import { compareInt8 } from './int8-accuracy.js';
import { installPeers, versionsOf } from './peer-packages.js';
import { importWeights, quantiseStatic, shareWeights } from './peer-weights.js';
import { ASKED_PHOTOS, readTarPhotos, SALIENT_PHOTOS, STORED_PHOTOS } from './photos.js';
import { agreementWith, race, throughputTable } from './race.js';
import { readOptions } from './read-options.js';
import { Reporter, type Table } from './report.js';
import { medianRatio } from './statistics.js';

const VERB = {
  name: 'compare',
  purpose:
    'JPEG to embedding by this service in fp32 and int8, by transformers.js, by PyTorch behind FastAPI, and the runtime ' +
    'alone, on the same weights and photos in turn, A B A B; and what int8 costs in accuracy. The peers are installed ' +
    'into a temporary folder.',
  options: {
    model: {
      value: 'DIR',
      meaning: 'folder of a ViT in fp32 (default: a ViT-S/16, random weights)',
      fallback: '',
    },
    photos: { value: 'FILE', meaning: 'tar of JPEGs', fallback: SALIENT_PHOTOS },
    limit: { value: 'N', meaning: 'photos of it', fallback: 64, min: 1, max: 100_000 },
    seconds: { value: 'N', meaning: 'of each turn', fallback: 10, min: 1, max: 3600 },
    rounds: { value: 'N', meaning: 'turns of each', fallback: 3, min: 1, max: 1000 },
    connections: { value: 'N', meaning: 'requests in progress', fallback: 16, min: 1, max: 128 },
    python: { value: 'FILE', meaning: 'Python with PyTorch and ONNX', fallback: '.venv/bin/python' },
    peers: { value: 'DIR', meaning: 'keep the peers there for the next run', fallback: '' },
    trained: { value: 'DIR', meaning: 'model whose accuracy in int8 is measured', fallback: BUNDLED },
    stored: {
      value: 'FILE',
      meaning: 'tar of CLASS/NAME.jpg for that',
      fallback: STORED_PHOTOS,
    },
    asked: {
      value: 'FILE',
      meaning: 'tar of those that are classified',
      fallback: ASKED_PHOTOS,
    },
    knn: { value: 'N', meaning: 'photos of each; 0: leave it out', fallback: 10_000, min: 0, max: 1e6 },
  },
} as const;

/** Photos whose embeddings by all contenders are compared. */
const AGREEMENT = 16;

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(VERB, args);
  if (options === undefined) return;
  if (options.model !== '') await readManifest(options.model);
  const photos = (await readTarPhotos([options.photos], options.limit)).map(({ jpeg }) => jpeg);
  const reporter = new Reporter('compare', options);
  const root = await mkdtemp(join(tmpdir(), 'dino-bench-'));
  const open: Contender[] = [];
  try {
    const peers = await installPeers(options.peers || join(root, 'peers'), options.python);
    reporter.table('versions', { version: await versionsOf(peers) });
    const { python, packages } = peers;
    const weights = await shareWeights({
      python,
      model: options.model,
      out: join(root, 'shared'),
      forAll: true,
    });
    const dataDir = join(root, 'data');
    const fp32Folder = await importWeights(weights, { precision: 'fp32', dataDir, name: 'bench-fp32' });
    const int8Folder = await importWeights(weights, { precision: 'int8', dataDir, name: 'bench-int8' });
    const staticFolder = await quantiseStatic({
      python,
      model: fp32Folder,
      photos: options.stored,
      out: join(dataDir, 'models', 'bench-int8-static'),
    });
    const common = { photos, connections: options.connections };
    const add = async (contender: Promise<Contender>): Promise<Contender> => {
      open.push(await contender);
      return open.at(-1)!;
    };
    const service = (precision: string, folder: string) =>
      add(
        startService({
          ...common,
          name: `this service, ${precision}, JPEG over HTTP`,
          folder,
          dataDir: join(root, precision),
        }),
      );
    const contenders = {
      alone: await add(startRuntime(fp32Folder, photos[0]!)),
      // What nobody on this runtime can be faster than.
      most: await add(startRuntime(fp32Folder, photos[0]!, 'our graph for embeddings')),
      mostInt8: await add(startRuntime(staticFolder, photos[0]!, 'the same in int8-static')),
      fp32: await service('fp32', fp32Folder),
      int8: await service('int8', int8Folder),
      int8Static: await service('int8-static', staticFolder),
      transformersJs: await add(startTransformersJs({ packages, model: weights.onnx, folder: root, photos })),
      pyTorch: await add(startPyTorch({ ...common, python, weights: weights.path })),
    };
    const shown = photos.slice(0, AGREEMENT);
    const agreement = await agreementWith(contenders.fp32, Object.values(contenders), shown);
    reporter.table('agreement with our fp32, mean cosine', agreement);
    const rates = await race(contenders, options);
    reporter.table('throughput', throughputTable(contenders, rates, 'alone'));
    reporter.goal('overRuntime', medianRatio(rates.fp32, rates.alone));
    reporter.goal('overTransformersJs', medianRatio(rates.fp32, rates.transformersJs));
    reporter.goal('overPyTorch', medianRatio(rates.fp32, rates.pyTorch));
    reporter.goal('int8', medianRatio(rates.int8Static, rates.fp32));
    while (open.length > 0) await open.pop()!.close();
    if (options.knn > 0) await reportAccuracy(reporter, { ...options, python, root, limit: options.knn });
    await reporter.finish(options.json);
  } finally {
    for (const contender of open) await contender.close();
    await rm(root, { recursive: true });
  }
}

async function reportAccuracy(
  reporter: Reporter,
  options: { python: string; trained: string; root: string; stored: string; asked: string; limit: number },
): Promise<void> {
  const { python, trained, root, stored, asked, limit } = options;
  const weights = await shareWeights({ python, model: trained, out: join(root, 'trained'), forAll: false });
  const name = 'trained-int8';
  const int8 = await importWeights(weights, { precision: 'int8', dataDir: join(root, 'trained-data'), name });
  const int8Static = await quantiseStatic({
    python,
    model: trained,
    photos: stored,
    out: join(root, 'trained-int8-static'),
  });
  const rows: Table = {};
  const measure = async (called: string, folder: string) => {
    const measured = await compareInt8({ fp32: trained, int8: folder, stored, asked, limit });
    const { knn, meanCosine, leastCosine, photos } = measured;
    rows[called] = {
      'k-NN accuracy, %': knn.int8,
      'in fp32, %': knn.fp32,
      'mean cosine': meanCosine,
      'least cosine': leastCosine,
      photos,
    };
    return measured;
  };
  await measure('int8', int8);
  const { knn, meanCosine } = await measure('int8-static', int8Static);
  reporter.table(`int8 against fp32, ${trained}`, rows);
  reporter.goal('int8Knn', Math.abs(knn.fp32 - knn.int8));
  reporter.goal('int8Cosine', meanCosine);
}
