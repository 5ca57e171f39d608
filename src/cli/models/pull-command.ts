import type { Command } from 'commander';
import { CATALOG } from '../../models/importing/catalog.js';
import { usageError } from '../command-error.js';
import { textTable } from '../text-table.js';
import { addInstallOptions, type InstallFlags } from './import-options.js';

export interface PullFlags extends InstallFlags {
  readonly from?: string;
  readonly keepCheckpoint: boolean;
  readonly list?: boolean;
}

/** `dino models pull`: a published model from its authors' address, the hub, or a copy of them. */
export function addPullCommand(models: Command): void {
  const command = models
    .command('pull')
    .description('Download and install a published model')
    .argument('[name]', 'one of --list, or owner/name of a Hugging Face repository')
    .option('--list', 'list the names with their published accuracy')
    .option('--from <folder|url>', 'take the files from a folder, or from a mirror of the public address')
    .option('--keep-checkpoint', 'keep the downloaded file, for another --precision', false);
  addInstallOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (name: string | undefined, flags: PullFlags) => {
      if (flags.list === true) return listCatalog(flags);
      if (name === undefined) throw usageError('give the name of a model, or --list to see which there are');
      // The libraries of networks and graphs take a second to load: only here.
      const { runPull } = await import('./run-pull.js');
      return runPull(name, flags);
    });
}

const EXAMPLES = `
Behind a proxy set HTTPS_PROXY; for gated repositories of the hub set HF_TOKEN.

Examples:
  $ dino models pull dino-vits16
  $ dino models pull --list
  $ dino models pull facebook/dinov2-small --precision int8
  $ dino models pull dino-vitb8 --from /media/usb
`;

function listCatalog({ json }: Pick<PullFlags, 'json'>): void {
  if (json) {
    const models = CATALOG.map(({ name, title, url, licence, licenceUrl, published }) => {
      return { name, title, url, licence, licenceUrl, published };
    });
    process.stdout.write(`${JSON.stringify(models)}\n`);
    return;
  }
  const rows = CATALOG.map(({ name, title, licence, published: { knn, linear } }) => {
    return [name, title, knn.toFixed(1), linear.toFixed(1), licence];
  });
  process.stdout.write(textTable(['name', 'model', 'k-NN %', 'linear %', 'licence'], rows));
}
