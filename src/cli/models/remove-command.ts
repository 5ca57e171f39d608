import type { Command } from 'commander';
import { addConnectionOptions, withServer, type ConnectionOptions } from '../connection.js';

/** `dino models remove`: deletes an installed model that no collection needs. */
export function addRemoveCommand(models: Command): void {
  const remove = models
    .command('remove')
    .description('Delete an installed model; refused while a collection holds its vectors')
    .argument('<name>', 'name of the model');
  addConnectionOptions(remove)
    .addHelpText('after', '\nExample:\n  $ dino models remove dino-vits16\n')
    .action(async (name: string, flags: ConnectionOptions) => {
      await withServer(flags, (client) => client.deleteModel(name));
      process.stdout.write(`${name}: removed\n`);
    });
}
