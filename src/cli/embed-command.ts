import type { Command } from 'commander';
import { addConnectionOptions, withServer, type ConnectionOptions } from './connection.js';
import { eachImage, imagesOf } from './each-image.js';
import { Option } from 'commander';

interface EmbedFlags extends ConnectionOptions {
  readonly model?: string;
  readonly encoding: 'float' | 'base64';
}

/** `dino embed`: vectors of images, a line of JSON each. */
export function addEmbedCommand(program: Command): void {
  const command = program
    .command('embed')
    .description('Print the embeddings of images: a line of JSON each, with its file')
    .argument('<path...>', 'images, or folders of images')
    .option('--model <name>', "model to use; default: the server's")
    .addOption(
      new Option('--encoding <name>', 'numbers, or base64 of little-endian float32')
        .choices(['float', 'base64'])
        .default('float'),
    )
    .option('--json', 'print JSON lines, as is done anyway');
  addConnectionOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((paths: string[], flags: EmbedFlags) => embed(paths, flags));
}

const EXAMPLES = `
Example:
  $ dino embed cat.jpg dog.jpg > embeddings.jsonl
`;

async function embed(
  paths: readonly string[],
  { model, encoding, ...connection }: EmbedFlags,
): Promise<void> {
  const files = await imagesOf(paths);
  await withServer({ ...connection, storesNothing: true }, async (client) => {
    for await (const outcome of eachImage(files, (bytes) => client.embed([bytes], { model }))) {
      const { path } = outcome.file;
      const line =
        'error' in outcome
          ? { file: path, error: outcome.error }
          : {
              file: path,
              model: outcome.result.model,
              embedding: encode(outcome.result.vectors[0]!, encoding),
            };
      process.stdout.write(`${JSON.stringify(line)}\n`);
    }
  });
}

function encode(vector: Float32Array, encoding: 'float' | 'base64'): number[] | string {
  if (encoding === 'base64')
    return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64');
  // Nine digits tell any two float32 apart.
  return Array.from(vector, (value) => Number(value.toPrecision(9)));
}
