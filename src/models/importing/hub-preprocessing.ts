import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CheckpointError } from '../checkpoints/checkpoint-error.js';
import { IMAGENET_MEAN, IMAGENET_STD } from './imported-manifest.js';

/**
 * Checks that a Hugging Face folder's images are normalised as the graphs normalise them.
 *
 * @throws CheckpointError for other means or deviations
 */
export async function checkNormalisation(folder: string): Promise<void> {
  let recipe: Record<string, unknown>;
  try {
    recipe = JSON.parse(await readFile(join(folder, 'preprocessor_config.json'), 'utf8')) as Record<
      string,
      unknown
    >;
  } catch {
    // Without a recipe it is the one that all DINO models of photos have.
    return;
  }
  for (const [field, expected] of [
    ['image_mean', IMAGENET_MEAN],
    ['image_std', IMAGENET_STD],
  ] as const) {
    const found = recipe[field];
    if (!Array.isArray(found)) continue;
    const fits =
      found.length === 3 && expected.every((value, i) => Math.abs(Number(found[i]) - value) < 1e-3);
    if (!fits) {
      throw new CheckpointError(
        `This model wants images of ${field} ${JSON.stringify(found)}, and the graphs are written for ImageNet's ${JSON.stringify(expected)}: it can't be imported.`,
      );
    }
  }
}
