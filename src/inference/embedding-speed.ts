import { cpus } from 'node:os';
import { FeatureExtractor, type FeatureExtractorOptions } from './feature-extractor.js';
import { RUNTIME_VERSION } from './runtime-version.js';

const ROUNDS = 5;

/**
 * Opens a model and embeds one image a few times.
 *
 * @returns least seconds of a run
 * @throws Error when it can't be opened or run
 */
export async function embeddingSeconds(options: FeatureExtractorOptions): Promise<number> {
  const seconds: number[] = [];
  const observe = { batch: () => undefined, ran: (taken: number) => void seconds.push(taken) };
  const extractor = await FeatureExtractor.create({ ...options, observe });
  try {
    const { crop } = options.manifest.preprocessing;
    const pixels = { data: new Uint8Array(crop * crop * 3), width: crop, height: crop };
    for (let round = 0; round < ROUNDS; round++) await extractor.extract(pixels, ['embedding']);
  } finally {
    await extractor.close();
  }
  return Math.min(...seconds);
}

/** What the speed of a model depends on beside its file: the processor, its threads, ONNX Runtime's version. */
export function machineType(): string {
  const processors = cpus();
  return `${process.platform} ${process.arch} ${processors[0]?.model} x${processors.length} onnxruntime ${RUNTIME_VERSION}`;
}
