import type { Command } from 'commander';
import type { DuplicateReport, Filter } from '../client/resources.js';
import { addConnectionOptions, withServer, type ConnectionOptions } from './connection.js';
import { followJob } from './jobs/follow-job.js';
import { decimal, filter, integer } from './option-values.js';

interface DuplicatesFlags extends ConnectionOptions {
  readonly collection: string;
  readonly threshold: number;
  readonly filter?: Filter;
  readonly exact?: boolean;
  readonly maxPairs: number;
  readonly json: boolean;
}

/** `dino duplicates`: groups of images that are nearly the same. */
export function addDuplicatesCommand(program: Command): void {
  const command = program
    .command('duplicates')
    .description('Find the images of a collection that are nearly the same')
    .requiredOption('-c, --collection <name>', 'collection to look through')
    .option('--threshold <cosine>', 'least cosine similarity of two near-duplicates', decimal(0, 1), 0.95)
    .option('--filter <json>', 'only among images that match this condition on metadata', filter)
    .option('--exact', 'compare every image with every other, however many there are')
    .option('--max-pairs <n>', 'pairs given at most, the most similar', integer(0, 100_000), 1000)
    .option('--json', 'print the groups as JSON', false);
  addConnectionOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((flags: DuplicatesFlags) => duplicates(flags));
}

const EXAMPLES = `
Examples:
  $ dino duplicates --collection holiday
  $ dino duplicates --collection holiday --threshold 0.99 --json
`;

async function duplicates(flags: DuplicatesFlags): Promise<void> {
  const { collection, threshold, exact, maxPairs } = flags;
  const job = await withServer(flags, async (client) =>
    followJob(
      client,
      await client.findDuplicates(collection, { threshold, exact, maxPairs, filter: flags.filter }),
    ),
  );
  const report = job.result as unknown as DuplicateReport;
  process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : inWords(report));
}

function inWords({ groups, images, pairs, exact }: DuplicateReport): string {
  const lines = groups.map(({ ids }) => ids.join('  '));
  const method = exact ? 'all pairs compared' : 'found by searching';
  return [...lines, `${groups.length} groups, ${pairs} pairs among ${images} images (${method})`, ''].join(
    '\n',
  );
}
