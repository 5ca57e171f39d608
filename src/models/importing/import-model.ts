import type { CatalogEntry, PublishedAccuracy } from './catalog.js';
import { CheckpointError } from '../checkpoints/checkpoint-error.js';
import { convertCheckpoint, type ConvertOptions } from './convert-checkpoint.js';
import { importedManifest, inputSize, type InputSize } from './imported-manifest.js';
import { installModel, type InstallPlace } from './install.js';
import type { Manifest } from '../manifest.js';
import type { ModelDescription } from '../onnx/architecture-metadata.js';
import { tryModel } from './trial-run.js';

export interface ImportModelOptions extends Omit<ConvertOptions, 'folder' | 'onRecognised'> {
  readonly place: InstallPlace;
  /** Size of the input of embeddings; what is left out is the authors'. */
  readonly size: Partial<InputSize>;
  /** URL, path or name of the checkpoint, and its SHA-256. */
  readonly source: { readonly from: string; readonly sha256: string };
  /** For people; default: made of what was recognised. */
  readonly description?: string;
  readonly published?: PublishedAccuracy;
  readonly licence: string;
  readonly licenceUrl?: string;
  /** What it was published as; anything else is refused. */
  readonly expected?: CatalogEntry['expected'];
  readonly onRecognised?: (model: ModelDescription) => void;
}

/**
 * Turns a checkpoint into an installed model: recognised, written as ONNX, tried once, and renamed into place.
 *
 * @throws CheckpointError, ModelWriteError, InstallError; nothing is left behind
 */
export async function importModel(
  options: ImportModelOptions,
): Promise<{ readonly folder: string; readonly manifest: Manifest }> {
  const { place, expected, signal } = options;
  return installModel(place, async (folder) => {
    const converted = await convertCheckpoint({
      ...options,
      folder,
      onRecognised(model) {
        if (expected !== undefined) checkExpected(model, expected);
        // What can't be is refused before anything is written.
        inputSize(options.size, model);
        options.onRecognised?.(model);
      },
    });
    const manifest = importedManifest({
      name: place.name,
      description:
        options.description ??
        `${describeModel(converted.description)}, imported from ${options.source.from}`,
      converted,
      size: inputSize(options.size, converted.description),
      source: options.source,
      published: options.published,
      licence: options.licence,
      licenceUrl: options.licenceUrl,
    });
    signal?.throwIfAborted();
    await tryModel(manifest, converted.file.path);
    signal?.throwIfAborted();
    return manifest;
  });
}

/** A network in a few words: `vit_small with patches of 16 px, 12 blocks of 384, 6 heads`. */
export function describeModel({ variant, patchSize, depth, embedDim, heads }: ModelDescription): string {
  const attention = heads === undefined ? '' : `, ${heads} heads`;
  return `${variant} with patches of ${patchSize} px, ${depth} blocks, ${embedDim} dimensions${attention}`;
}

function checkExpected(shape: ModelDescription, expected: CatalogEntry['expected']): void {
  const { family, variant, patchSize } = expected;
  if (shape.family === family && shape.variant === variant && shape.patchSize === patchSize) return;
  throw new CheckpointError(
    `The file holds another model than its name says: ${shape.family} ${shape.variant} with patches of ${shape.patchSize} px, not ${family} ${variant} with patches of ${patchSize} px. Check what --from leads to.`,
  );
}
