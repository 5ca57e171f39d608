import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Weights as `dino models import` takes them. */
export interface Weights {
  /** A checkpoint, or a folder in the layout of transformers. */
  readonly path: string;
  /** Sides in px of the recipe. */
  readonly resize: number;
  readonly crop: number;
}

export interface SharedWeights extends Weights {
  /** Folder that transformers.js reads. */
  readonly onnx: string;
}

/**
 * The same weights for all contenders.
 *
 * @param options.model model folder of a ViT in fp32; `''`: a ViT-S/16 with random weights
 * @param options.forAll also for transformers.js
 */
export async function shareWeights(options: {
  python: string;
  model: string;
  out: string;
  forAll: boolean;
}): Promise<SharedWeights> {
  const { python, model, out, forAll } = options;
  const args = [
    fileURLToPath(new URL('peers/prepare.py', import.meta.url)),
    '--scripts',
    join(ROOT, 'scripts'),
  ];
  if (model !== '') args.push('--model', resolve(model));
  if (!forAll) args.push('--weights_only');
  const { stdout } = await execute(python, ['-W', 'ignore', ...args, '--out', out], {
    env: { ...process.env, HF_HUB_OFFLINE: '1' },
  });
  const recipe = JSON.parse(stdout.trim().split('\n').at(-1)!) as { resize: number; crop: number };
  return { path: join(out, 'weights'), onnx: join(out, 'onnx'), ...recipe };
}

/** A ViT-S/16 with random weights, for the service alone. @param python with PyTorch @param out folder that is there */
export async function makeRandomWeights(python: string, out: string): Promise<Weights> {
  const path = join(out, 'vits16.pth');
  const script = join(ROOT, 'scripts/random_checkpoint.py');
  await execute(python, [script, '--arch', 'vit_small', '--patch_size', '16', '--out', path]);
  return { path, resize: 256, crop: 224 };
}

/** Imports the weights as a user would. @returns the model's folder */
export async function importWeights(
  { path, crop, resize }: Weights,
  { precision, dataDir, name }: { precision: 'fp32' | 'int8'; dataDir: string; name: string },
): Promise<string> {
  const dino = join(ROOT, 'dist/cli/dino.js');
  const recipe = ['--crop', `${crop}`, '--resize', `${resize}`, '--replace'];
  await execute(
    process.execPath,
    [dino, 'models', 'import', path, '--name', name, '--precision', precision, ...recipe],
    { env: { PATH: process.env.PATH, DINO_DATA_DIR: dataDir } },
  );
  return join(dataDir, 'models', name);
}

/**
 * An fp32 model folder once more, in int8 with activations of fixed scales, as `export_onnx.py --variants int8-static` makes it.
 *
 * @param options.photos tar that the scales are calibrated on
 * @param options.out folder to be made
 * @returns that folder
 */
export async function quantiseStatic(options: {
  python: string;
  model: string;
  photos: string;
  out: string;
}): Promise<string> {
  const { python, model, photos, out } = options;
  const script = fileURLToPath(new URL('peers/quantise.py', import.meta.url));
  const args = ['--model', resolve(model), '--photos', resolve(photos), '--out', out];
  await execute(python, ['-W', 'ignore', script, '--scripts', join(ROOT, 'scripts'), ...args]);
  return out;
}
