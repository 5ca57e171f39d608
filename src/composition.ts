import { mkdir } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import type { Express } from 'express';
import { createApp } from './app.js';
import { CollectionService } from './collections/collection.service.js';
import { ModelService } from './collections/model.service.js';
import { EmbeddedCollectionStore } from './collections/embedded/embedded-collection-store.js';
import { ImageService } from './collections/image.service.js';
import { ObjectService } from './collections/object.service.js';
import { ReembeddingService } from './collections/reembedding.service.js';
import { SearchService } from './collections/search.service.js';
import { SnapshotFolder } from './collections/embedded/snapshots/snapshot-folder.js';
import { SnapshotService } from './collections/snapshot.service.js';
import { VectorService } from './collections/vector.service.js';
import type { Config } from './config.js';
import { openCache } from './inference/cache/open-cache.js';
import { RecipeCache } from './inference/cache/recipe-cache.js';
import { EmbeddingService } from './inference/embedding.service.js';
import { openCalibrated } from './inference/calibrate.js';
import { embeddingSeconds, machineType } from './inference/embedding-speed.js';
import { FeatureExtractor } from './inference/feature-extractor.js';
import { Places } from './inference/places.js';
import { JobRunner } from './jobs/job-runner.js';
import { Lifecycle } from './lifecycle.js';
import { createLogger, type Logger } from './logger.js';
import { Metrics } from './metrics.js';
import { choosePrecision } from './models/choose-precision.js';
import type { Manifest } from './models/manifest.js';
import { verifyModelFile } from './models/model-folder.js';
import { ModelRegistry, type Model } from './models/model-registry.js';
import { AttentionService } from './segmentation/attention.service.js';
import { CosegmentationService } from './segmentation/cosegmentation.service.js';
import { CorrespondenceService } from './segmentation/correspondence.service.js';
import { MaskService } from './segmentation/mask.service.js';
import { MaskWriter } from './segmentation/mask-writer.js';
import { MatchingPool } from './segmentation/matching-pool.js';
import { ObjectFinder } from './segmentation/object-finder.js';
import { PhotoMasks } from './segmentation/photo-masks.js';
import { PatchLooker } from './segmentation/patch-looker.js';
import { SegmentationPool } from './segmentation/segmentation-pool.js';
import { DecodeQueue } from './vision/decode-queue.js';
import { createImageReader } from './vision/image-reader.js';

export interface Service {
  readonly app: Express;
  readonly logger: Logger;
  readonly lifecycle: Lifecycle;
  readonly defaultModel: Model;
  readonly jobs: JobRunner;
  /** Absolute path of the data folder. */
  readonly dataDir: string;
  /** Ends workers and closes files; no request may be in progress. */
  close(): Promise<void>;
}

export interface ServiceFolders {
  /** Absolute path of the folder of the installed models. */
  readonly installedModels: string;
}

/**
 * Builds everything once: open the store, load the default model and warm it up, put the services and the application
 * on top.
 *
 * @param folders where they are not in the data folder
 */
export async function compose(config: Config, folders: Partial<ServiceFolders> = {}): Promise<Service> {
  const logger = createLogger(config.logLevel);
  const metrics = new Metrics();
  const lifecycle = new Lifecycle();

  const dataDir = resolve(config.dataDir);
  await mkdir(dataDir, { recursive: true });
  const store = await EmbeddedCollectionStore.open({
    dataDir,
    exactBelow: config.exactBelow,
    threads: config.storeThreads === 0 ? undefined : config.storeThreads,
    onWarning: (message) => logger.warn(message),
  });

  let models: ModelRegistry;
  try {
    const modelFolders = {
      bundled: resolve(config.modelsDir),
      installed: folders.installedModels ?? join(dataDir, 'models'),
    };
    const cacheDir = join(dataDir, 'cache');
    models = await ModelRegistry.open({
      folders: modelFolders,
      defaultModel: await choosePrecision({
        model: config.model,
        precision: config.precision,
        folders: modelFolders,
        measure: ({ manifest, folder }) =>
          embeddingSeconds({
            ...modelOptions({ manifest, folder, config, cacheDir }),
            threads: config.inferenceThreads,
          }),
        machine: `${machineType()}, ${config.inferenceThreads} threads, ${config.providers.join()}`,
        cacheDir: join(cacheDir, 'precisions'),
        onWarning: (message) => logger.warn(message),
      }),
      open: (manifest, folder) => openModel({ manifest, folder, config, metrics, cacheDir, logger }),
      places: new Places(config.queueLimit, () => metrics.rejected.inc({ reason: 'queue' })),
      onWarning: (message) => logger.warn(message),
    });
  } catch (error) {
    await store.close();
    throw error;
  }

  const snapshotFolder = new SnapshotFolder(dataDir);
  await snapshotFolder.open();
  const jobs = new JobRunner({
    onFailure: (err, { id, kind }) => logger.error({ err, id, kind }, 'job failed'),
  });
  metrics.observeJobs(() => jobs.list());

  const queue = new DecodeQueue({
    slots: config.decodeThreads,
    observe: {
      decoded(queuedSeconds, seconds) {
        metrics.decodeQueueSeconds.observe(queuedSeconds);
        metrics.decodeSeconds.observe(seconds);
      },
    },
  });
  metrics.observeQueueLengths({ inference: () => models.queueLength, decode: () => queue.length });
  const reader = createImageReader({
    maxPixels: config.maxImagePixels,
    timeoutSeconds: config.decodeTimeoutSeconds,
    preprocessing: config.preprocessing,
    queue,
  });
  const cache = await openCache({ config, dataDir, metrics, onWarning: (message) => logger.warn(message) });
  const embeddings = new EmbeddingService({
    models,
    reader,
    cache: cache && new RecipeCache(cache, { ...config, maxPixels: config.maxImagePixels }),
  });
  const looker = new PatchLooker({ models, reader });
  const pool = await SegmentationPool.create();
  const attention = new AttentionService(looker);
  const writer = new MaskWriter();
  const photoMasks = new PhotoMasks({ pool, reader, writer });
  const masks = new MaskService({ looker, pool, photoMasks });
  const cosegmentation = new CosegmentationService({ looker, pool, photoMasks });
  const matching = new MatchingPool();
  const correspondences = new CorrespondenceService({ looker, pool: matching });
  const collections = new CollectionService({ store, models });
  const objects = new ObjectService({ finder: new ObjectFinder(masks), embeddings });
  const images = new ImageService({ store, collections, embeddings, reader, objects });
  const search = new SearchService({ store, collections, embeddings });
  const reembedding = new ReembeddingService({ store, models, embeddings, jobs });
  const vectors = new VectorService(store);
  const modelService = new ModelService({ store, models });

  const app = createApp({
    config,
    logger,
    metrics,
    lifecycle,
    store,
    jobs,
    services: {
      embeddings,
      attention,
      masks,
      correspondences,
      cosegmentation,
      photoMasks,
      collections,
      images,
      search,
      reembedding,
      vectors,
      models: modelService,
      snapshots: new SnapshotService({ store, folder: snapshotFolder, jobs }),
    },
  });
  lifecycle.ready();
  return {
    app,
    logger,
    lifecycle,
    defaultModel: models.default,
    jobs,
    dataDir,
    async close() {
      lifecycle.stop();
      await jobs.close();
      await models.close();
      await pool.close();
      await matching.close();
      await writer.close();
      await cache?.close();
      await store.close();
    },
  };
}

interface ModelParts {
  readonly manifest: Manifest;
  readonly folder: string;
  readonly config: Config;
  /** Folder of what is made or measured once. */
  readonly cacheDir: string;
}

function modelOptions({ manifest, folder, config, cacheDir }: ModelParts) {
  return {
    manifest,
    modelPath: resolve(folder, manifest.file.path),
    verify: () => verifyModelFile(folder, manifest),
    providers: config.providers,
    cacheDir: join(cacheDir, 'graphs'),
  };
}

/** Opens a model as the settings say, or as is best on this machine. */
async function openModel(
  parts: ModelParts & { readonly metrics: Metrics; readonly logger: Logger },
): Promise<FeatureExtractor> {
  const { config, cacheDir, metrics, logger } = parts;
  const options = modelOptions(parts);
  const { inferenceThreads, inferenceWorkers, maxBatchPatches } = config;
  const batching = {
    maxBatchPatches,
    observe: {
      batch(size: number, queuedSeconds: readonly number[]) {
        metrics.batchSize.observe(size);
        for (const seconds of queuedSeconds) metrics.queueSeconds.observe(seconds);
      },
      ran: (seconds: number) => metrics.inferenceSeconds.observe(seconds),
    },
  };
  const isOnProcessor = config.providers[0] === 'cpu';
  if (inferenceWorkers !== 0 || !isOnProcessor) {
    const workers = inferenceWorkers || 1;
    return FeatureExtractor.create({
      ...options,
      ...batching,
      workers,
      threads: inferenceThreads,
      maxBatch: config.maxBatch,
    });
  }
  const { processes, arrangement } = await openCalibrated({
    ...options,
    threads: inferenceThreads,
    maxBatch: config.maxBatch,
    cores: availableParallelism(),
    memoryBytes: memoryForWeights(),
    machine: machineType(),
    keptIn: join(cacheDir, 'arrangements'),
  });
  logger.info({ model: parts.manifest.name, ...arrangement }, 'how the model shares the cores');
  return new FeatureExtractor(processes, { ...batching, maxBatch: arrangement.maxBatch });
}

/** An eighth of the memory that this process may take, in bytes: several models may be loaded. */
function memoryForWeights(): number {
  // 0 and absurdly much where there is no limit.
  return Math.min(process.constrainedMemory() || Infinity, totalmem()) / 8;
}
