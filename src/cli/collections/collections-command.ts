import { Option, type Command } from 'commander';
import type { Collection } from '../../client/resources.js';
import { CommandError, usageError } from '../command-error.js';
import { addConnectionOptions, withServer, type ConnectionOptions } from '../connection.js';
import { followJob } from '../jobs/follow-job.js';
import { integer } from '../option-values.js';
import { textTable } from '../text-table.js';

interface Flags extends ConnectionOptions {
  readonly json: boolean;
}

interface SettingFlags extends Flags {
  readonly ef?: number;
  readonly content?: 'original' | 'thumbnail' | 'none';
  readonly thumbnails?: boolean;
}

interface CreateFlags extends SettingFlags {
  readonly model?: string;
  readonly m?: number;
  readonly efConstruction?: number;
}

interface ReembedFlags extends Flags {
  readonly model: string;
  readonly dropMissing: boolean;
  readonly detach: boolean;
}

/** `dino collections`: collections as resources. */
export function addCollectionsCommand(program: Command): void {
  const collections = program
    .command('collections')
    .description('List, create, show, alter, re-embed and delete collections')
    .addHelpText('after', EXAMPLES);
  addList(collections);
  addCreate(collections);
  addShow(collections);
  addAlter(collections);
  addReembed(collections);
  addDelete(collections);
}

const EXAMPLES = `
Examples:
  $ dino collections create holiday --content thumbnail
  $ dino collections list
  $ dino collections reembed holiday --model dino-vits16
`;

function addList(collections: Command): void {
  const list = collections.command('list').description('List the collections in order of name');
  finish(list, '$ dino collections list --json').action(async (flags: Flags) => {
    const found = await withServer(flags, (client) => client.listCollections());
    process.stdout.write(flags.json ? `${JSON.stringify(found)}\n` : tableOf(found));
  });
}

function addCreate(collections: Command): void {
  const create = collections
    .command('create')
    .description('Create a collection, or confirm the one that is there')
    .argument('<name>', 'letters, digits, ".", "_" and "-"')
    .option('--model <name>', "model whose vectors it holds; default: the server's")
    .option('--m <n>', 'HNSW: links per node; default: 16', integer(2, 64))
    .option('--ef-construction <n>', 'HNSW: candidates kept while building; default: 200', integer(8, 800));
  finish(addSettings(create), '$ dino collections create holiday --model dino-vits16 --ef 200').action(
    async (name: string, flags: CreateFlags) => {
      const { model, m, efConstruction, ef, content, thumbnails } = flags;
      const { collection } = await withServer(flags, (client) =>
        client.createCollection(name, { model, m, efConstruction, ef, content, thumbnails }),
      );
      print(collection, flags);
    },
  );
}

function addShow(collections: Command): void {
  const show = collections
    .command('show')
    .description('Show one collection')
    .argument('<name>', 'name or alias of the collection');
  finish(show, '$ dino collections show holiday').action(async (name: string, flags: Flags) => {
    print(await withServer(flags, (client) => client.getCollection(name)), flags);
  });
}

function addAlter(collections: Command): void {
  const alter = collections
    .command('alter')
    .description('Change the candidates of searches, and what is kept of images stored from now on')
    .argument('<name>', 'name or alias of the collection');
  finish(addSettings(alter), '$ dino collections alter holiday --ef 300 --no-thumbnails').action(
    async (name: string, flags: SettingFlags) => {
      const { ef, content, thumbnails } = flags;
      if (ef === undefined && content === undefined && thumbnails === undefined) {
        throw usageError('give --ef, --content, --thumbnails or --no-thumbnails');
      }
      print(
        await withServer(flags, (client) => client.alterCollection(name, { ef, content, thumbnails })),
        flags,
      );
    },
  );
}

function addReembed(collections: Command): void {
  const reembed = collections
    .command('reembed')
    .description('Give a collection another model while it is used; an interrupted run goes on where it was')
    .argument('<name>', 'name or alias of the collection')
    .requiredOption('--model <name>', 'model to change to')
    .option('--drop-missing', 'delete the images whose original is not kept', false)
    .option('--detach', 'do not wait: print the job of the running server', false);
  finish(reembed, '$ dino collections reembed holiday --model dino-vits16').action(
    async (name: string, flags: ReembedFlags) => {
      const { model, dropMissing, detach } = flags;
      const job = await withServer({ ...flags, runningOnly: detach }, async (client) => {
        const started = await client.reembedCollection(name, model, { dropMissing });
        return detach ? started : followJob(client, started);
      });
      if (flags.json) process.stdout.write(`${JSON.stringify(job)}\n`);
      else if (detach) process.stdout.write(`${job.id}\n`);
      else {
        const { embedded, dropped } = job.result as { embedded: number; dropped: number };
        process.stdout.write(`${job.collection}: model ${model}, ${embedded} embedded, ${dropped} dropped\n`);
      }
    },
  );
}

function addDelete(collections: Command): void {
  const remove = collections
    .command('delete')
    .description('Delete a collection with all its images; refused while it has aliases')
    .argument('<name>', 'name of the collection')
    .option('--yes', 'without it nothing is deleted', false);
  finish(remove, '$ dino collections delete holiday --yes').action(
    async (name: string, flags: Flags & { yes: boolean }) => {
      const { count } = await withServer(flags, async (client) => {
        const collection = await client.getCollection(name);
        if (!flags.yes) {
          throw new CommandError(`${name} has ${collection.count} images; say --yes to delete them with it`);
        }
        await client.deleteCollection(name);
        return collection;
      });
      const answer = JSON.stringify({ deleted: name, images: count });
      process.stdout.write(flags.json ? `${answer}\n` : `${name}: deleted with ${count} images\n`);
    },
  );
}

function addSettings(command: Command): Command {
  return command
    .option('--ef <n>', 'HNSW: candidates kept while searching', integer(1, 4096))
    .addOption(
      new Option('--content <choice>', 'what is kept of an image beside its vector').choices([
        'original',
        'thumbnail',
        'none',
      ]),
    )
    .option('--thumbnails', 'keep a thumbnail')
    .option('--no-thumbnails', 'keep no thumbnail');
}

function finish(command: Command, example: string): Command {
  return addConnectionOptions(command)
    .option('--json', 'print JSON', false)
    .addHelpText('after', `\nExample:\n  ${example}\n`);
}

function print(collection: Collection, { json }: Flags): void {
  process.stdout.write(json ? `${JSON.stringify(collection)}\n` : tableOf([collection]));
}

function tableOf(collections: readonly Collection[]): string {
  const rows = collections.map(({ name, count, model, dimension, ef, content, thumbnails, reembedding }) => [
    name,
    count,
    reembedding === undefined ? model : `${model} -> ${reembedding.model}`,
    dimension,
    ef,
    content,
    thumbnails ? 'yes' : 'no',
  ]);
  return textTable(['collection', 'images', 'model', 'dimensions', 'ef', 'content', 'thumbnails'], rows);
}
