import { join } from 'node:path';
import type { Config } from '../../config.js';
import type { Metrics } from '../../metrics.js';
import { EmbeddingCache } from './embedding-cache.js';
import { EmbeddingLog } from './embedding-log.js';

/** Name of the cache's file in the data folder. */
export const CACHE_FILE = 'embeddings.cache';

/** The cache that the settings ask for, with what is on disk; undefined where they ask for none. */
export async function openCache(parts: {
  config: Config;
  dataDir: string;
  metrics: Metrics;
  onWarning: (message: string) => void;
}): Promise<EmbeddingCache | undefined> {
  const { config, dataDir, metrics, onWarning } = parts;
  if (config.embeddingCache === 'off') return undefined;
  const maxBytes = config.embeddingCacheBytes;
  const cache = new EmbeddingCache({
    maxBytes,
    log:
      config.embeddingCache === 'disk'
        ? new EmbeddingLog({ path: join(dataDir, CACHE_FILE), maxBytes, onWarning })
        : undefined,
    observe: (outcome) => metrics.embeddingCache.inc({ outcome }),
  });
  await cache.load();
  metrics.observeEmbeddingCache(cache);
  return cache;
}
