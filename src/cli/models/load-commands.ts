import type { Command } from 'commander';
import type { Model } from '../../client/resources.js';
import { formatBytes } from '../../models/download/byte-size.js';
import { addConnectionOptions, withServer, type ConnectionOptions } from '../connection.js';

/** `dino models load`: what a running server's first request to the model would do. */
export function addLoadCommand(models: Command): void {
  const load = models
    .command('load')
    .description('Load a model into a running server, and wait until it is ready')
    .argument('<name>', 'name of the model');
  addConnectionOptions(load)
    .addHelpText('after', '\nExample:\n  $ dino models load dino-vits16\n')
    .action(async (name: string, flags: ConnectionOptions) => {
      const model = await withServer({ ...flags, runningOnly: true }, (client) => client.loadModel(name));
      report(model, model.memoryBytes === 0 ? '' : `, ${formatBytes(model.memoryBytes)} of memory`);
    });
}

/** `dino models unload`: gives the memory of a running server's model back. */
export function addUnloadCommand(models: Command): void {
  const unload = models
    .command('unload')
    .description('Give the memory of a model of a running server back; its next use loads it again')
    .argument('<name>', 'name of the model');
  addConnectionOptions(unload)
    .addHelpText('after', '\nExample:\n  $ dino models unload dino-vits16\n')
    .action(async (name: string, flags: ConnectionOptions) => {
      report(await withServer({ ...flags, runningOnly: true }, (client) => client.unloadModel(name)), '');
    });
}

function report({ id, status }: Model, more: string): void {
  process.stdout.write(`${id}: ${status}${more}\n`);
}
