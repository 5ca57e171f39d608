import { z } from 'zod';

/** What `models/<name>/manifest.json` says; the recipe beside the weights, read and never assumed. */
export const manifestSchema = z.object({
  schemaVersion: z.literal(1),
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,99}$/),
  description: z.string(),
  architecture: z.object({
    family: z.string(),
    variant: z.string(),
    patchSize: z.int().positive(),
    embedDim: z.int().positive(),
    depth: z.int().positive(),
    heads: z.int().positive(),
  }),
  file: z.object({
    path: z.string(),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    bytes: z.int().positive(),
    opset: z.int().positive(),
    precision: z.string(),
  }),
  input: z.object({
    name: z.literal('pixels'),
    layout: z.literal('NHWC'),
    type: z.literal('uint8'),
    colour: z.literal('RGB'),
    multipleOf: z.int().positive(),
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
  outputs: z.record(z.string(), z.looseObject({})),
  parity: z.looseObject({}),
  evaluation: z.looseObject({}),
  training: z.looseObject({}),
  licence: z.string(),
});

export type Manifest = z.infer<typeof manifestSchema>;
