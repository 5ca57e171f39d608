import { basename } from 'node:path';
import type { Command } from 'commander';
import { loadConfig } from '../../config.js';
import { findModelFolders, readManifest, verifyModelFile } from '../../models/model-folder.js';
import { CommandError, usageError } from '../command-error.js';
import { installedModelsFolder } from './model-place.js';

interface VerifyFlags {
  readonly modelsDir?: string;
  readonly dataDir?: string;
  readonly json: boolean;
}

/** `dino models verify`: whether the files are those that the manifests describe. */
export function addVerifyCommand(models: Command): void {
  models
    .command('verify')
    .description("Check the models' files against the SHA-256 in their manifests; needs no server")
    .option('--models-dir <path>', "folder of the service's own models (environment: DINO_MODELS_DIR)")
    .option('--data-dir <path>', 'data folder, where the others are installed (environment: DINO_DATA_DIR)')
    .option('--json', 'print the results as JSON', false)
    .addHelpText('after', '\nExample:\n  $ dino models verify\n')
    .action((flags: VerifyFlags) => verifyModels(flags));
}

interface Verification {
  /** The model's name, or its folder's where the manifest can't be read. */
  readonly model: string;
  readonly status: 'ok' | 'wrong';
  /** What is wrong. */
  readonly reason?: string;
}

async function verifyModels({ modelsDir: given, dataDir, json }: VerifyFlags): Promise<void> {
  const config = loadConfig(process.env, { modelsDir: given, dataDir });
  const bundled = await findModelFolders(config.modelsDir).catch((cause: Error) => {
    throw usageError(cause.message, cause);
  });
  // Where nothing was ever installed there is no such folder.
  const installed = await findModelFolders(installedModelsFolder(config)).catch(() => []);
  const folders = [...bundled, ...installed];
  if (folders.length === 0) throw new CommandError(`there are no models in ${config.modelsDir}`);
  const results: Verification[] = [];
  for (const folder of folders) results.push(await verify(folder));
  if (json) {
    process.stdout.write(`${JSON.stringify(results)}\n`);
  } else {
    for (const { model, status, reason } of results) {
      process.stdout.write(`${model}: ${status}${reason === undefined ? '' : `, ${reason}`}\n`);
    }
  }
  const wrong = results.filter(({ status }) => status === 'wrong').length;
  if (wrong > 0)
    throw new CommandError(`${wrong} of ${results.length} models are not what their manifests say`);
}

async function verify(folder: string): Promise<Verification> {
  let model = basename(folder);
  try {
    const manifest = await readManifest(folder);
    model = manifest.name;
    await verifyModelFile(folder, manifest);
    return { model, status: 'ok' };
  } catch (error) {
    return { model, status: 'wrong', reason: (error as Error).message };
  }
}
