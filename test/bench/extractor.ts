import { join } from 'node:path';
import { FeatureExtractor } from '#dino/inference/feature-extractor.js';
import { readManifest } from './bench-server.js';

/** The model of a folder in a process of its own, one photo at a time. @throws UsageError when there is none */
export async function openExtractor(folder: string): Promise<FeatureExtractor> {
  const manifest = await readManifest(folder);
  return FeatureExtractor.create({
    manifest,
    modelPath: join(folder, manifest.file.path),
    providers: ['cpu'],
    workers: 1,
    threads: 0,
    maxBatch: 1,
  });
}
