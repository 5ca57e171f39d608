import type { Command } from 'commander';
import { addConnectionOptions, withServer, type ConnectionOptions } from '../connection.js';
import { textTable } from '../text-table.js';

interface Flags extends ConnectionOptions {
  readonly json: boolean;
}

/** `dino aliases`: second names of collections, swapped while they are used. */
export function addAliasesCommand(program: Command): void {
  const aliases = program
    .command('aliases')
    .description('List, set and delete second names of collections')
    .addHelpText('after', EXAMPLES);

  const list = aliases.command('list').description('List the aliases in order of name');
  finish(list, '$ dino aliases list').action(async (flags: Flags) => {
    const found = await withServer(flags, (client) => client.listAliases());
    const rows = found.map(({ name, collection }) => [name, collection]);
    process.stdout.write(
      flags.json ? `${JSON.stringify(found)}\n` : textTable(['alias', 'collection'], rows),
    );
  });

  const set = aliases
    .command('set')
    .description('Make a name stand for a collection, from one moment to the next')
    .argument('<alias>', 'the second name')
    .argument('<collection>', 'the collection it stands for from now on');
  finish(set, '$ dino aliases set live holiday-2').action(
    async (name: string, collection: string, flags: Flags) => {
      const { alias, created } = await withServer(flags, (client) => client.putAlias(name, collection));
      const line = `${alias.name}: ${created ? 'created' : 'set'}, stands for ${alias.collection}\n`;
      process.stdout.write(flags.json ? `${JSON.stringify(alias)}\n` : line);
    },
  );

  const remove = aliases
    .command('delete')
    .description('Delete an alias; its collection stays')
    .argument('<alias>', 'the second name');
  finish(remove, '$ dino aliases delete live').action(async (name: string, flags: Flags) => {
    await withServer(flags, (client) => client.deleteAlias(name));
    process.stdout.write(flags.json ? `${JSON.stringify({ deleted: name })}\n` : `${name}: deleted\n`);
  });
}

const EXAMPLES = `
Examples:
  $ dino aliases set live holiday
  $ dino aliases list
`;

function finish(command: Command, example: string): Command {
  return addConnectionOptions(command)
    .option('--json', 'print JSON', false)
    .addHelpText('after', `\nExample:\n  ${example}\n`);
}
