import { basename, dirname, join, resolve } from 'node:path';
import type { Config } from '../../config.js';
import type { Precision } from '../../models/onnx/graph-builder.js';

/** Where models that the service did not bring along are installed. */
export function installedModelsFolder({ dataDir }: Pick<Config, 'dataDir'>): string {
  return join(resolve(dataDir), 'models');
}

/** A name for a variant of a model: `dino-vits16-int8`. */
export function withPrecision(name: string, precision: Precision): string {
  return precision === 'fp32' ? name : `${name}-${precision}`;
}

/** Names that a training run or a tool gives to every checkpoint. */
const SAYS_NOTHING = /^(checkpoint|model|pytorch_model|teacher_checkpoint|weights|last|best)[\d_-]*$/i;

/** A model's name made of its checkpoint's: the file's, or where that says nothing the folder's. */
export function nameFromPath(path: string): string {
  const absolute = resolve(path);
  const own = basename(absolute).replace(/\.(pth|pt|bin|safetensors|onnx|ckpt|tar)$/i, '');
  return asModelName(SAYS_NOTHING.test(own) ? `${basename(dirname(absolute))}` : own);
}

/** The nearest text that a model may be called. */
export function asModelName(text: string): string {
  const name = text
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, '');
  return name.slice(0, 90) || 'model';
}
