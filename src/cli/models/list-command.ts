import type { Command } from 'commander';
import { addConnectionOptions, withServer, type ConnectionOptions } from '../connection.js';
import { textTable } from '../text-table.js';

/** `dino models list`: what the server has, loaded or not. */
export function addListCommand(models: Command): void {
  const list = models
    .command('list')
    .description('List the models that are there, and which are loaded')
    .option('--json', 'print the models with their manifests as JSON', false);
  addConnectionOptions(list)
    .addHelpText('after', '\nExample:\n  $ dino models list --json\n')
    .action((flags: ConnectionOptions & { json: boolean }) => listModels(flags));
}

async function listModels(flags: ConnectionOptions & { json: boolean }): Promise<void> {
  const [models, unusable] = await withServer({ ...flags, storesNothing: true }, (client) =>
    Promise.all([client.listModels(), client.listUnusableModels()]),
  );
  for (const { id, reason } of models) if (reason !== null) warn(id, reason);
  for (const { name, reason } of unusable) warn(name, reason);
  if (flags.json) {
    process.stdout.write(`${JSON.stringify(models)}\n`);
    return;
  }
  const rows = models.map((model) => [
    model.default ? `${model.id} (default)` : model.id,
    model.status,
    model.dimension,
    model.patchSize,
    model.heads || '-',
    model.licence,
    model.fingerprint.slice(0, 12),
  ]);
  process.stdout.write(
    textTable(['model', 'status', 'dimensions', 'patch', 'heads', 'licence', 'SHA-256'], rows),
  );
}

function warn(name: string, reason: string): void {
  process.stderr.write(`dino: the model ${name} can't be used: ${reason}\n`);
}
