import type { Command } from 'commander';
import type { AttentionMaps } from '../client/resources.js';
import { usageError } from './command-error.js';
import { addConnectionOptions, withServer, type ConnectionOptions } from './connection.js';
import { eachImage, imagesOf } from './each-image.js';
import { decimal, headOr, integer } from './option-values.js';
import { planPictures, writePicture } from './picture-files.js';

interface AttentionFlags extends ConnectionOptions {
  readonly out?: string;
  readonly head: number | 'all';
  readonly overlay: boolean;
  readonly opacity?: number;
  readonly size?: number;
  readonly model?: string;
  readonly json: boolean;
}

/** `dino attention`: what the model looks at, as pictures or numbers. */
export function addAttentionCommand(program: Command): void {
  const command = program
    .command('attention')
    .description('Draw the self-attention of images, or print it as numbers')
    .argument('<path...>', 'images, or folders of images')
    .option('-o, --out <folder>', 'folder for a PNG per image')
    .option('--head <head>', 'one head, from 0, or all: side by side', headOr('all'), 'all')
    .option('--overlay', 'lay the heat map over the image', false)
    .option('--opacity <share>', 'share of the heat map in an overlay, 0 to 1', decimal(0, 1))
    .option('--size <px>', 'longer side at which the model looks at the image', integer(16, 1024))
    .option('--model <name>', "model to use; default: the server's")
    .option('--json', 'print the numbers: a line of JSON per image', false);
  addConnectionOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((paths: string[], flags: AttentionFlags) => attention(paths, flags));
}

const EXAMPLES = `
Examples:
  $ dino attention cat.jpg -o heat-maps --head 0 --overlay
  $ dino attention photos --json > attention.jsonl
`;

async function attention(paths: readonly string[], flags: AttentionFlags): Promise<void> {
  const { out, head, overlay, opacity, size, model, json } = flags;
  if (out === undefined && !json) throw usageError('give -o FOLDER for pictures or --json for numbers');
  const files = await imagesOf(paths);
  const pictures = out === undefined ? undefined : planPictures(files, out);
  await withServer({ ...flags, storesNothing: true }, async (client) => {
    const outcomes = eachImage(files, async (bytes, { path }) => {
      const picture = pictures?.get(path);
      if (picture !== undefined) {
        await writePicture(
          picture,
          await client.attentionPicture(bytes, { head, overlay, opacity, size, model }),
        );
      }
      return { picture, maps: json ? await client.attention(bytes, { head, size, model }) : undefined };
    });
    for await (const outcome of outcomes) {
      const file = outcome.file.path;
      if ('error' in outcome) print(json, { file, error: outcome.error });
      else print(json, { file, ...outcome.result });
    }
  });
}

function print(
  asJson: boolean,
  line: { file: string; picture?: string; maps?: AttentionMaps; error?: { code: string; detail: string } },
): void {
  const { file, picture, maps, error } = line;
  if (asJson)
    process.stdout.write(
      `${JSON.stringify(error === undefined ? { file, picture, ...maps } : { file, error })}\n`,
    );
  else if (picture !== undefined) process.stdout.write(`${picture}\n`);
}
