import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Express } from 'express';
import { createApp } from './app.js';
import { CollectionService } from './collections/collection.service.js';
import { EmbeddedCollectionStore } from './collections/embedded/embedded-collection-store.js';
import { ImageService } from './collections/image.service.js';
import { SearchService } from './collections/search.service.js';
import type { Config } from './config.js';
import { EmbeddingService } from './inference/embedding.service.js';
import { FeatureExtractor } from './inference/feature-extractor.js';
import { Lifecycle } from './lifecycle.js';
import { createLogger, type Logger } from './logger.js';
import { Metrics } from './metrics.js';
import type { Manifest } from './models/manifest.js';
import { ModelRegistry, type Model } from './models/model-registry.js';
import { AttentionService } from './segmentation/attention.service.js';
import { MaskService } from './segmentation/mask.service.js';
import { PatchLooker } from './segmentation/patch-looker.js';
import { SegmentationPool } from './segmentation/segmentation-pool.js';
import { createImageReader } from './vision/image-reader.js';

export interface Service {
  readonly app: Express;
  readonly logger: Logger;
  readonly lifecycle: Lifecycle;
  readonly defaultModel: Model;
  /** Absolute path of the data folder. */
  readonly dataDir: string;
  /** Ends workers and closes files; no request may be in progress. */
  close(): Promise<void>;
}

/** Builds everything once: open the store, load the models and warm them up, put the services and the application on top. */
export async function compose(config: Config): Promise<Service> {
  const logger = createLogger(config.logLevel);
  const metrics = new Metrics();
  const lifecycle = new Lifecycle();

  const dataDir = resolve(config.dataDir);
  await mkdir(dataDir, { recursive: true });
  const store = await EmbeddedCollectionStore.open({
    dataDir,
    exactBelow: config.exactBelow,
    onWarning: (message) => logger.warn(message),
  });

  let models: ModelRegistry;
  try {
    models = await ModelRegistry.load({
      modelsDir: resolve(config.modelsDir),
      defaultModel: config.model,
      open: (manifest, modelPath) => openModel({ manifest, modelPath, config, metrics }),
    });
  } catch (error) {
    await store.close();
    throw error;
  }
  metrics.observeQueueLength(() =>
    models.list().reduce((sum, model) => sum + model.extractor.queueLength, 0),
  );

  const reader = createImageReader({
    maxPixels: config.maxImagePixels,
    timeoutSeconds: config.decodeTimeoutSeconds,
  });
  const embeddings = new EmbeddingService({ models, reader });
  const looker = new PatchLooker({ models, reader });
  const pool = await SegmentationPool.create();
  const attention = new AttentionService(looker);
  const masks = new MaskService({ looker, pool, reader });
  const collections = new CollectionService({ store, models });
  const images = new ImageService({ store, collections, embeddings, reader });
  const search = new SearchService({ store, collections, embeddings });

  const app = createApp({
    config,
    logger,
    metrics,
    lifecycle,
    store,
    models,
    services: { embeddings, attention, masks, collections, images, search },
  });
  lifecycle.ready();
  return {
    app,
    logger,
    lifecycle,
    defaultModel: models.default,
    dataDir,
    async close() {
      lifecycle.stop();
      await models.close();
      await pool.close();
      await store.close();
    },
  };
}

function openModel(parts: {
  manifest: Manifest;
  modelPath: string;
  config: Config;
  metrics: Metrics;
}): Promise<FeatureExtractor> {
  const { manifest, modelPath, config, metrics } = parts;
  return FeatureExtractor.create({
    manifest,
    modelPath,
    providers: config.providers,
    workers: config.inferenceWorkers,
    threads: config.inferenceThreads,
    maxBatch: config.maxBatch,
    queueLimit: config.queueLimit,
    observe: {
      batch(size, queuedSeconds) {
        metrics.batchSize.observe(size);
        for (const seconds of queuedSeconds) metrics.queueSeconds.observe(seconds);
      },
      refused: () => metrics.rejected.inc({ reason: 'queue' }),
      ran: (seconds) => metrics.inferenceSeconds.observe(seconds),
    },
  });
}
