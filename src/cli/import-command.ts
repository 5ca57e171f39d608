import { Option, type Command } from 'commander';
import { DinoClientError } from '../client/dino-client-error.js';
import type { DinoClient } from '../client/dino-client.js';
import type { Collection, ObjectSetting } from '../client/resources.js';
import { CommandError, usageError } from './command-error.js';
import { addConnectionOptions, withServer, type ConnectionOptions } from './connection.js';
import { printSummary } from './import/import-summary.js';
import { ImportTally } from './import/import-tally.js';
import { importEntries } from './import/importer.js';
import { measureNeighbourShare, type NeighbourShare } from './import/neighbour-share.js';
import { openSources } from './import/sources.js';
import { integer } from './option-values.js';
import { createProgress } from './progress.js';

interface ImportFlags extends ConnectionOptions {
  readonly collection: string;
  readonly labelField: string;
  readonly model?: string;
  readonly batch?: number;
  readonly textColumns: string[];
  readonly concurrency: number;
  readonly objects?: ObjectSetting['method'];
  readonly maxObjects?: number;
  readonly onDuplicate: 'keep' | 'skip';
  readonly measure: boolean;
  readonly json?: boolean;
}

/** `dino import`: images of folders and WebDataset shards into a collection. */
export function addImportCommand(program: Command): void {
  const command = program
    .command('import')
    .description(
      'Store the images of folders, WebDataset shards or tables in a collection, or vectors; again: only what is new',
    )
    .argument(
      '<path...>',
      'folders, images, shards (.tar, .tar.gz, .tgz), tables (.csv, .tsv, .ndjson, .parquet, .npy), or patterns of them',
    )
    .requiredOption('-c, --collection <name>', 'collection; created where it is not there')
    .option('--label-field <name>', 'metadata field for the class', 'class')
    .option('--model <name>', "model of a collection that is created; default: the server's")
    .option('--batch <n>', 'images or vectors per request; default: 16 images, 512 vectors', integer(1, 1024))
    .option('--text-columns <names...>', 'columns of a CSV that are texts whatever they look like', [])
    .option('--concurrency <n>', 'requests at a time', integer(1, 64), 2)
    .addOption(
      new Option('--objects <method>', 'find the objects of each image, and store them with it').choices([
        'maskcut',
        'tokencut',
        'lost',
        'deep-spectral',
      ]),
    )
    .option('--max-objects <n>', 'objects kept of each image; default 3', integer(1, 10))
    .addOption(
      new Option('--on-duplicate <choice>', 'an image whose content the collection has under another id')
        .choices(['keep', 'skip'])
        .default('keep'),
    )
    .option('--no-measure', 'leave out the share of nearest neighbours of the same class')
    .option('--json', 'print the summary as JSON');
  addConnectionOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((paths: string[], flags: ImportFlags) => runImport(paths, flags));
}

const EXAMPLES = `
A photo's id is its path in the folder, and its folder's name is its class; in a shard its key, and what .cls and
.json of that key say; in a table what the columns id, image (a path) or vector, and the others say.

Examples:
  $ dino import ~/photos --collection holiday
  $ dino import shard-*.tar --collection caltech --label-field label
  $ dino import ~/photos --collection holiday --on-duplicate skip
  $ dino import photos.csv --collection holiday
  $ dino import vectors.parquet --collection elsewhere --model dino-vits16
`;

async function runImport(paths: readonly string[], flags: ImportFlags): Promise<void> {
  if (flags.labelField === '') throw usageError('--label-field is empty: give the name of a metadata field');
  const objects = objectsOf(flags);
  const started = performance.now();
  const tally = new ImportTally();
  const { labelField, textColumns } = flags;
  const sources = await openSources(paths, { labelField, textColumns });
  await withServer({ ...flags, isBulk: true }, async (client) => {
    const { collection, created } = await openCollection(client, flags);
    if (created && flags.json !== true) {
      const { name, model, dimension } = collection;
      process.stdout.write(`created the collection ${name} (model ${model}, ${dimension} dimensions)\n`);
    }
    const progress = createProgress({ title: 'importing', total: sources.totalWeight });
    try {
      await importEntries(sources.entries(), {
        client,
        collection: flags.collection,
        labelField: flags.labelField,
        batchSize: flags.batch,
        objects,
        onDuplicate: flags.onDuplicate,
        concurrency: flags.concurrency,
        tally,
        onProgress: (images, weight) => progress.advance(images, weight),
      });
    } catch (cause) {
      progress.stop();
      throw interrupted(cause, tally);
    }
    progress.stop();
    const seconds = (performance.now() - started) / 1000;
    const neighbours = flags.measure && tally.labelled > 0 ? await measure(client, flags) : undefined;
    printSummary({ collection: flags.collection, created, tally, seconds, neighbours }, flags.json === true);
  });
  if (tally.images === 0) throw new CommandError(`there are no images in ${paths.join(', ')}`);
  if (tally.failed > 0) throw new CommandError(`${tally.failed} of ${tally.images} images were not stored`);
}

function objectsOf({ objects: method, maxObjects: max }: ImportFlags): ObjectSetting | undefined {
  if (method !== undefined) return { method, max };
  if (max !== undefined) throw usageError('--max-objects needs --objects: the method that finds them');
  return undefined;
}

async function openCollection(
  client: DinoClient,
  flags: ImportFlags,
): Promise<{ collection: Collection; created: boolean }> {
  try {
    const collection = await client.getCollection(flags.collection);
    if (flags.model === undefined || flags.model === collection.model) return { collection, created: false };
    throw new CommandError(
      `the collection ${flags.collection} is of the model ${collection.model}, not ${flags.model}`,
    );
  } catch (error) {
    if (!(error instanceof DinoClientError) || error.code !== 'not-found') throw error;
    return client.createCollection(flags.collection, { model: flags.model });
  }
}

/** What was acknowledged is stored, whatever ended the import. */
function interrupted(cause: unknown, tally: ImportTally): unknown {
  if (!(cause instanceof CommandError || cause instanceof DinoClientError)) return cause;
  const exitCode = cause instanceof CommandError ? cause.exitCode : 1;
  const message = `${cause.message}; ${tally.images} images are dealt with, the same command again goes on from there`;
  return new CommandError(message, { exitCode, cause });
}

async function measure(client: DinoClient, flags: ImportFlags): Promise<NeighbourShare> {
  const { count } = await client.getCollection(flags.collection);
  const progress = createProgress({ title: 'measuring', total: count });
  try {
    return await measureNeighbourShare(client, {
      collection: flags.collection,
      field: flags.labelField,
      onProgress: () => progress.advance(1, 1),
    });
  } finally {
    progress.stop();
  }
}
