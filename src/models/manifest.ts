import { z } from 'zod';
import { FEATURE_NAMES } from '../inference/features.js';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** What a model may be called; also the name of its folder. */
export const modelName = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,99}$/);

/** What `models/<name>/manifest.json` says; the recipe beside the weights, read and never assumed. */
export const manifestSchema = z.object({
  schemaVersion: z.literal(1),
  name: modelName,
  description: z.string(),
  architecture: z.object({
    family: z.string(),
    variant: z.string(),
    patchSize: z.int().positive(),
    embedDim: z.int().positive(),
    depth: z.int().positive(),
    /** Attention heads of the layer that `attention` and `keys` come from; absent where there is no attention. */
    heads: z.int().positive().optional(),
  }),
  file: z.object({
    path: z.string(),
    sha256,
    bytes: z.int().positive(),
    opset: z.int().positive(),
    precision: z.enum(['fp32', 'fp16', 'int8']),
    /** Weights that are too many for one protobuf file lie beside it. */
    data: z.object({ path: z.string(), sha256, bytes: z.int().positive() }).optional(),
  }),
  input: z.object({
    name: z.literal('pixels'),
    layout: z.literal('NHWC'),
    type: z.literal('uint8'),
    colour: z.literal('RGB'),
    multipleOf: z.int().positive(),
    /** Side in px of the square that is all the graph takes; absent where any multiple will do. */
    fixedSize: z.int().positive().optional(),
  }),
  preprocessing: z.object({
    /** Shorter side in px before the centre crop. */
    resize: z.int().positive(),
    /** Square centre crop in px: the input of embeddings. */
    crop: z.int().positive(),
    kernel: z.literal('cubic'),
    /** Longer side in px for attention and masks unless the request says otherwise. */
    attentionSize: z.int().positive(),
    mean: z.array(z.number()).length(3),
    std: z.array(z.number()).length(3),
    normalisation: z.literal('in-graph'),
  }),
  /** The features the graph gives; `embedding` is always one. */
  outputs: z
    .partialRecord(z.enum(FEATURE_NAMES), z.looseObject({}))
    .refine((outputs) => outputs.embedding !== undefined, 'there is no output "embedding"'),
  /** Where an imported model comes from. */
  source: z
    .object({
      /** The URL or the file's name. */
      from: z.string(),
      /** SHA-256 of the checkpoint. */
      sha256,
      format: z.string(),
    })
    .optional(),
  parity: z.looseObject({}).optional(),
  evaluation: z.looseObject({}).optional(),
  training: z.looseObject({}).optional(),
  /** SPDX identifier, or the licence's name; `unknown` where nobody said. */
  licence: z.string(),
  licenceUrl: z.string().optional(),
});

export type Manifest = z.infer<typeof manifestSchema>;
