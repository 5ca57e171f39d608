import type { Command } from 'commander';
import { addImportModelCommand } from './import-model-command.js';
import { addListCommand } from './list-command.js';
import { addLoadCommand, addUnloadCommand } from './load-commands.js';
import { addPullCommand } from './pull-command.js';
import { addRemoveCommand } from './remove-command.js';
import { addVerifyCommand } from './verify-command.js';

/** `dino models`: what there is, where more comes from, and whether the files are what they should be. */
export function addModelsCommand(program: Command): void {
  const models = program
    .command('models')
    .description('List, download, import, load, remove and check models')
    .addHelpText('after', EXAMPLES);
  addListCommand(models);
  addPullCommand(models);
  addImportModelCommand(models);
  addLoadCommand(models);
  addUnloadCommand(models);
  addRemoveCommand(models);
  addVerifyCommand(models);
}

const EXAMPLES = `
Examples:
  $ dino models pull dino-vits16
  $ dino models import checkpoint.pth --name mine
  $ dino models list
  $ dino models verify
`;
