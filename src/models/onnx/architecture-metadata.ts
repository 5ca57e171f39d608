import { z } from 'zod';
import { FEATURE_NAMES, type FeatureName } from '../../inference/features.js';
import type { ModelProto } from './generated/onnx_pb.js';

/** What a model is, as far as its users need to know; an Architecture is one. */
export interface ModelDescription {
  readonly family: string;
  readonly variant: string;
  readonly patchSize: number;
  readonly multipleOf: number;
  readonly embedDim: number;
  readonly depth: number;
  readonly heads?: number;
  readonly outputs: readonly FeatureName[];
  /** The only size of image it takes, in px; absent where any multiple of `multipleOf` will do. */
  readonly fixedSize?: { readonly height: number; readonly width: number };
}

/** Key of the description in a model's metadata_props: the file can be imported without its manifest. */
const KEY = 'dino_architecture';

const size = z.int().positive();
const schema = z.object({
  family: z.string(),
  variant: z.string(),
  patchSize: size,
  multipleOf: size,
  embedDim: size,
  depth: size,
  heads: size.optional(),
  outputs: z.array(z.enum(FEATURE_NAMES)),
  fixedSize: z.object({ height: size, width: size }).optional(),
});

/** The metadata_props that say what a model is. */
export function architectureMetadata(description: ModelDescription): Record<string, string> {
  // Parsed, so that nothing else of the object gets into the file.
  return { [KEY]: JSON.stringify(schema.parse(description)) };
}

/** @returns undefined where the model does not say, or not in a way that can be read */
export function readArchitectureMetadata({ metadataProps }: ModelProto): ModelDescription | undefined {
  const entry = metadataProps.find(({ key }) => key === KEY);
  if (entry === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(entry.value));
  } catch {
    return undefined;
  }
}
