import { createHash } from 'node:crypto';
import type { Manifest } from '../../models/manifest.js';
import { DECODER_VERSION } from '../../vision/decoder-version.js';
import type { PreprocessingMode } from '../../vision/preprocessing-mode.js';
import { RUNTIME_VERSION } from '../runtime-version.js';

/** Raised with any change of our own that gives the same image another vector. */
const OURS = 1;

export interface RecipeSettings {
  readonly preprocessing: PreprocessingMode;
  readonly providers: readonly string[];
}

/** Everything beside the image that an embedding's numbers depend on. */
export function recipeOf({ file, preprocessing }: Manifest, settings: RecipeSettings): string {
  const { sha256, data } = file;
  return JSON.stringify([
    OURS,
    sha256,
    data?.sha256,
    preprocessing,
    settings.preprocessing,
    settings.providers,
    DECODER_VERSION,
    RUNTIME_VERSION,
  ]);
}

/**
 * The same for the same image and recipe, and for no other: 64 hex digits.
 *
 * @param digest SHA-256 of the image, in hex
 */
export function keyOf(digest: string, recipe: string): string {
  return createHash('sha256').update(digest).update(recipe).digest('hex');
}
