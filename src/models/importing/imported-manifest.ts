import { basename } from 'node:path';
import type { FeatureName } from '../../inference/features.js';
import type { PublishedAccuracy } from './catalog.js';
import type { ConvertedModel } from './convert-checkpoint.js';
import { InstallError } from './install-error.js';
import type { Manifest } from '../manifest.js';
import type { ModelDescription } from '../onnx/architecture-metadata.js';

/** Mean and standard deviation of ImageNet's pixels per channel, which the graphs normalise by. */
export const IMAGENET_MEAN = [0.485, 0.456, 0.406];
export const IMAGENET_STD = [0.229, 0.224, 0.225];

/** Longer side in px at which a model looks at an image for attention and masks. */
const ATTENTION_SIZE = 480;

/** Size of the input of embeddings, in px. */
export interface InputSize {
  /** Shorter side before the centre crop. */
  readonly resize: number;
  readonly crop: number;
}

/**
 * The input that embeddings are made of: what the user wants, else the authors' evaluation, 224 px out of 256.
 *
 * @throws InstallError when it doesn't fit the model
 */
export function inputSize(
  wanted: Partial<InputSize>,
  { multipleOf, fixedSize }: Pick<ModelDescription, 'multipleOf' | 'fixedSize'>,
): InputSize {
  const usual = fixedSize?.width ?? Math.max(multipleOf, 224 - (224 % multipleOf));
  const crop = wanted.crop ?? usual;
  const resize = wanted.resize ?? Math.round((crop * 256) / 224);
  if (fixedSize !== undefined && crop !== usual) {
    throw new InstallError(`The model takes images of ${usual} px alone, so --crop can't be ${crop}.`);
  }
  if (crop % multipleOf !== 0) {
    throw new InstallError(
      `The model takes images whose sides are multiples of ${multipleOf} px, so --crop can't be ${crop}.`,
    );
  }
  if (resize < crop) throw new InstallError(`--resize ${resize} is less than the ${crop} px of --crop.`);
  return { resize, crop };
}

export interface ManifestFacts {
  readonly name: string;
  readonly description: string;
  readonly converted: ConvertedModel;
  readonly size: InputSize;
  readonly source: { readonly from: string; readonly sha256: string };
  readonly published?: PublishedAccuracy;
  readonly licence: string;
  readonly licenceUrl?: string;
}

/** The manifest of a model that was made from somebody's checkpoint. */
export function importedManifest(facts: ManifestFacts): Manifest {
  const { converted, size, source, published } = facts;
  const { description, file } = converted;
  const { family, variant, patchSize, embedDim, depth, heads } = description;
  return {
    schemaVersion: 1,
    name: facts.name,
    description: facts.description,
    architecture: { family, variant, patchSize, embedDim, depth, heads },
    file: {
      path: basename(file.path),
      sha256: file.sha256,
      bytes: file.bytes,
      opset: file.opset,
      precision: file.precision,
      data: file.data && { ...file.data, path: basename(file.data.path) },
    },
    input: {
      name: 'pixels',
      layout: 'NHWC',
      type: 'uint8',
      colour: 'RGB',
      multipleOf: description.multipleOf,
      fixedSize: description.fixedSize?.width,
    },
    preprocessing: {
      ...size,
      kernel: 'cubic',
      attentionSize: description.fixedSize?.width ?? ATTENTION_SIZE,
      mean: IMAGENET_MEAN,
      std: IMAGENET_STD,
      normalisation: 'in-graph',
    },
    outputs: Object.fromEntries(
      description.outputs.map((name) => [name, { shape: outputShape(name, description) }]),
    ),
    source: { ...source, format: converted.format },
    evaluation: published && {
      published: {
        dataset: 'ImageNet-1k',
        knnTop1: published.knn,
        linearTop1: published.linear,
        source: published.source,
      },
    },
    licence: facts.licence,
    licenceUrl: facts.licenceUrl,
  };
}

function outputShape(name: FeatureName, { embedDim, heads }: ModelDescription): (string | number)[] {
  switch (name) {
    case 'embedding':
      return ['batch', embedDim];
    case 'attention':
      return ['batch', heads ?? 0, 'patches'];
    case 'patch_tokens':
    case 'keys':
      return ['batch', 'patches', embedDim];
  }
}
