import { extname } from 'node:path';
import type { Command } from 'commander';
import type { DinoClient } from '../client/dino-client.js';
import type { Filter } from '../client/resources.js';
import { usageError } from './command-error.js';
import { addConnectionOptions, withServer, type ConnectionOptions } from './connection.js';
import { filter } from './option-values.js';
import { createProgress, type Progress } from './progress.js';
import { TABLE_EXTENSIONS, writeTable, type ExportedImage } from './vectors/table-writer.js';

interface ExportFlags extends ConnectionOptions {
  readonly collection: string;
  readonly out: string;
  readonly filter?: Filter;
  readonly json?: boolean;
}

/** `dino export`: a collection's vectors and metadata as a table. */
export function addExportCommand(program: Command): void {
  const command = program
    .command('export')
    .description("Write a collection's ids, vectors and metadata as a table")
    .requiredOption('-c, --collection <name>', 'collection to export')
    .requiredOption('-o, --out <file>', `file to write: ${TABLE_EXTENSIONS.join(', ')}`)
    .option('--filter <json>', 'condition on metadata', filter)
    .option('--json', 'print the summary as JSON');
  addConnectionOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((flags: ExportFlags) => exportCollection(flags));
}

const EXAMPLES = `
A .npy file has the float32 matrix, with ids and metadata in the .ndjson file beside it, a line per row.

Examples:
  $ dino export --collection holiday --out holiday.parquet
  $ dino export --collection holiday --out holiday.npy --filter '{"field":"class","eq":"rome"}'
`;

async function exportCollection(flags: ExportFlags): Promise<void> {
  const { collection: name, out } = flags;
  if (!TABLE_EXTENSIONS.includes(extname(out).toLowerCase())) {
    throw usageError(`${out} is none of the tables that can be written: ${TABLE_EXTENSIONS.join(', ')}`);
  }
  await withServer(flags, async (client) => {
    const { dimension, count } = await client.getCollection(name);
    const progress = createProgress({ title: 'exporting', total: count });
    const tally = { images: 0 };
    try {
      const rows = counted(client.listVectors(name, { filter: flags.filter }), tally, progress);
      const files = await writeTable({ path: out, dimension, rows });
      progress.stop();
      report({ collection: name, images: tally.images, files }, flags.json === true);
    } finally {
      progress.stop();
    }
  });
}

async function* counted(
  rows: ReturnType<DinoClient['listVectors']>,
  tally: { images: number },
  progress: Progress,
): AsyncGenerator<ExportedImage, void> {
  for await (const row of rows) {
    tally.images += 1;
    progress.advance(1, 1);
    yield row;
  }
}

function report(summary: { collection: string; images: number; files: string[] }, asJson: boolean): void {
  const { collection, images, files } = summary;
  const text = `${collection}: ${images} images written to ${files.join(' and ')}`;
  process.stdout.write(`${asJson ? JSON.stringify(summary) : text}\n`);
}
