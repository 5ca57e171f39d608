import { readFile } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import type { Filter, Metadata, SearchQuery } from '../client/resources.js';
import { usageError } from './command-error.js';
import { addConnectionOptions, withServer, type ConnectionOptions } from './connection.js';
import { explain } from './image-files.js';
import { decimal, filter, integer } from './option-values.js';
import { textTable } from './text-table.js';

interface SearchFlags extends ConnectionOptions {
  readonly collection: string;
  readonly id?: string;
  readonly k: number;
  readonly filter?: Filter;
  readonly minScore?: number;
  readonly offset?: number;
  readonly groupBy?: string;
  readonly groupSize?: number;
  readonly diversity?: number;
  readonly suppressDuplicates?: number;
  readonly objects?: 'images' | 'objects' | 'both';
  readonly json?: boolean;
}

/** `dino search`: the nearest images of a collection. */
export function addSearchCommand(program: Command): void {
  const command = program
    .command('search')
    .description('Find the images of a collection that are most similar to an image')
    .argument('[image]', 'image file to search by')
    .requiredOption('-c, --collection <name>', 'collection to search in')
    .option('--id <id>', 'search by an image of the collection in place of a file')
    .option('-k <n>', 'neighbours wanted', integer(1, 1000), 10)
    .option('--filter <json>', 'condition on metadata', filter)
    .option('--min-score <cosine>', 'least cosine similarity', decimal(-1, 1))
    .option('--offset <n>', 'hits left out from the top, for the next page', integer(0, 10_000))
    .option('--group-by <field>', 'the best images for each value of a metadata field')
    .option('--group-size <n>', 'images of each group; default 1', integer(1, 100))
    .option(
      '--diversity <lambda>',
      'images that differ: 1 is plain order, 0 as different as can be',
      decimal(0, 1),
    )
    .option('--suppress-duplicates <cosine>', 'leave out copies of better hits', decimal(0, 1))
    .addOption(
      new Option('--objects <which>', 'compare with images, with their objects, or with both').choices([
        'images',
        'objects',
        'both',
      ]),
    )
    .option('--json', "print the server's answer as JSON");
  addConnectionOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((image: string | undefined, flags: SearchFlags) => search(image, flags));
}

const EXAMPLES = `
Examples:
  $ dino search cat.jpg --collection holiday -k 5
  $ dino search --id rome/colosseum.jpg --collection holiday --filter '{"field":"class","ne":"rome"}'
  $ dino search cat.jpg --collection holiday --group-by class --suppress-duplicates 0.98
`;

async function search(image: string | undefined, flags: SearchFlags): Promise<void> {
  const query = await queryOf(image, flags.id);
  const { k, minScore, offset, groupBy, groupSize, suppressDuplicates, diversity: lambda, objects } = flags;
  const diversity = lambda === undefined ? undefined : { lambda };
  const options = { k, minScore, offset, groupBy, groupSize, suppressDuplicates, diversity, objects };
  const answer = await withServer(flags, (client) =>
    client.search(flags.collection, query, { ...options, filter: flags.filter }),
  );
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(answer)}\n`);
    return;
  }
  const isGrouped = groupBy !== undefined;
  const hasBoxes = objects === 'objects' || objects === 'both';
  const rows = answer.results.map(({ id, score, metadata, group, bbox }, index) => [
    index + 1 + (isGrouped ? 0 : (offset ?? 0)),
    score.toFixed(4),
    ...(isGrouped ? [String(group)] : []),
    id,
    ...(hasBoxes ? [bbox?.join(',') ?? ''] : []),
    inWords(metadata),
  ]);
  const titles = [
    'rank',
    'score',
    ...(isGrouped ? ['group'] : []),
    'id',
    ...(hasBoxes ? ['box'] : []),
    'metadata',
  ];
  process.stdout.write(rows.length === 0 ? 'nothing found\n' : textTable(titles, rows));
}

async function queryOf(image: string | undefined, id: string | undefined): Promise<SearchQuery> {
  if ((image === undefined) === (id === undefined))
    throw usageError('give an image file or --id, one of them');
  if (id !== undefined) return { id };
  try {
    return { image: await readFile(image!) };
  } catch (cause) {
    throw usageError(`${image}: ${explain(cause)}`, cause);
  }
}

function inWords(metadata: Metadata): string {
  return Object.entries(metadata)
    .map(([field, value]) => `${field}=${Array.isArray(value) ? value.join(',') : value}`)
    .join(' ');
}
