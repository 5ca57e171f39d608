import { createHash, webcrypto } from 'node:crypto';
import { createRequire } from 'node:module';
import type { Manifest } from '../../models/manifest.js';
import { DECODER_VERSION } from '../../vision/decoder-version.js';
import type { PreprocessingMode } from '../../vision/preprocessing-mode.js';

const runtime = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };

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
    runtime.version,
  ]);
}

/** SHA-256 of an image, computed on another thread: a large file would hold up the event loop. */
export async function digestOf(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await webcrypto.subtle.digest('SHA-256', bytes));
}

/** The same for the same image and recipe, and for no other: 64 hex digits. */
export function keyOf(digest: Uint8Array, recipe: string): string {
  return createHash('sha256').update(digest).update(recipe).digest('hex');
}
