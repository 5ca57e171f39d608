import { FeatureExtractor } from '../../inference/feature-extractor.js';
import type { FeatureName, Features } from '../../inference/features.js';
import { InstallError } from './install-error.js';
import type { Manifest } from '../manifest.js';

/**
 * Runs a model once at its own size, in a worker of its own: what is installed has been seen to work.
 *
 * @throws InstallError when it can't be loaded or run, or gives anything but finite numbers of the declared shapes
 */
export async function tryModel(manifest: Manifest, modelPath: string): Promise<void> {
  const names = Object.keys(manifest.outputs) as FeatureName[];
  const { crop } = manifest.preprocessing;
  let features: Features;
  try {
    const extractor = await FeatureExtractor.create({
      manifest,
      modelPath,
      providers: ['cpu'],
      workers: 1,
      threads: 0,
      maxBatch: 1,
    });
    try {
      const pixels = { data: testPattern(crop), width: crop, height: crop };
      features = await extractor.extract(pixels, names);
    } finally {
      await extractor.close();
    }
  } catch (cause) {
    const reason = (cause as Error).message.replace(/\s+/g, ' ');
    throw new InstallError(`The model does not run, so it was not installed: ${reason}`, { cause });
  }
  check(features, manifest, names);
}

/** Every value of every channel, next to other ones: a blank image would hide what overflows. */
function testPattern(side: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: side * side * 3 }, (_, i) => (i * 89 + (i >> 7) * 53) % 256);
}

function check(features: Features, manifest: Manifest, names: readonly FeatureName[]): void {
  const { embedDim, heads = 0 } = manifest.architecture;
  const patches = features.grid.width * features.grid.height;
  const found = {
    embedding: features.embedding,
    patch_tokens: features.patchTokens,
    attention: features.attention,
    keys: features.keys,
  };
  const lengths = {
    embedding: embedDim,
    patch_tokens: patches * embedDim,
    attention: patches * heads,
    keys: patches * embedDim,
  };
  for (const name of names) {
    const values = found[name];
    if (values?.length !== lengths[name]) {
      throw new InstallError(
        `The model's ${name} has ${values?.length ?? 0} numbers, not ${lengths[name]}, so it was not installed.`,
      );
    }
    if (!values.every(Number.isFinite)) {
      throw new InstallError(
        `The model's ${name} holds numbers that are not finite, so it was not installed: its weights are damaged, or too large for this precision.`,
      );
    }
  }
}
