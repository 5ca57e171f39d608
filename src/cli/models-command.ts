import { basename } from 'node:path';
import type { Command } from 'commander';
import { loadConfig } from '../config.js';
import { findModelFolders, readManifest, verifyModelFile } from '../models/model-folder.js';
import { CommandError, usageError } from './command-error.js';
import { addConnectionOptions, withServer, type ConnectionOptions } from './connection.js';
import { textTable } from './text-table.js';

/** `dino models`: what is loaded, and whether the files are what they should be. */
export function addModelsCommand(program: Command): void {
  const models = program
    .command('models')
    .description('List the models, or check their files')
    .addHelpText('after', '\nExamples:\n  $ dino models list\n  $ dino models verify\n');
  const list = models
    .command('list')
    .description('List the models that are loaded')
    .option('--json', 'print the models with their manifests as JSON', false);
  addConnectionOptions(list)
    .addHelpText('after', '\nExample:\n  $ dino models list --json\n')
    .action((flags: ConnectionOptions & { json: boolean }) => listModels(flags));
  models
    .command('verify')
    .description("Check the models' files against the SHA-256 in their manifests; needs no server")
    .option('--models-dir <path>', 'folder of the models (environment: DINO_MODELS_DIR)')
    .option('--json', 'print the results as JSON', false)
    .addHelpText('after', '\nExample:\n  $ dino models verify\n')
    .action((flags: { modelsDir?: string; json: boolean }) => verifyModels(flags));
}

async function listModels(flags: ConnectionOptions & { json: boolean }): Promise<void> {
  const models = await withServer({ ...flags, storesNothing: true }, (client) => client.listModels());
  if (flags.json) {
    process.stdout.write(`${JSON.stringify(models)}\n`);
    return;
  }
  const rows = models.map((model) => [
    model.default ? `${model.id} (default)` : model.id,
    model.dimension,
    model.patchSize,
    model.heads,
    model.fingerprint.slice(0, 12),
  ]);
  process.stdout.write(textTable(['model', 'dimensions', 'patch', 'heads', 'SHA-256'], rows));
}

interface Verification {
  /** The model's name, or its folder's where the manifest can't be read. */
  readonly model: string;
  readonly status: 'ok' | 'wrong';
  /** What is wrong. */
  readonly reason?: string;
}

async function verifyModels(flags: { modelsDir?: string; json: boolean }): Promise<void> {
  const { modelsDir } = loadConfig(process.env, { modelsDir: flags.modelsDir });
  const folders = await findModelFolders(modelsDir).catch((cause: Error) => {
    throw usageError(cause.message, cause);
  });
  if (folders.length === 0) throw new CommandError(`there are no models in ${modelsDir}`);
  const results: Verification[] = [];
  for (const folder of folders) results.push(await verify(folder));
  if (flags.json) {
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
