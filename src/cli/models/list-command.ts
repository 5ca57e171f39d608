import type { Command } from 'commander';
import { addConnectionOptions, withServer, type ConnectionOptions } from '../connection.js';
import { textTable } from '../text-table.js';

/** `dino models list`: what the server has. */
export function addListCommand(models: Command): void {
  const list = models
    .command('list')
    .description('List the models that are loaded')
    .option('--json', 'print the models with their manifests as JSON', false);
  addConnectionOptions(list)
    .addHelpText('after', '\nExample:\n  $ dino models list --json\n')
    .action((flags: ConnectionOptions & { json: boolean }) => listModels(flags));
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
