import { readFile } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import type { CosegmentationOptions } from '../client/resources.js';
import { usageError } from './command-error.js';
import { CocoDataset } from './coco.js';
import { addConnectionOptions, withServer, type ConnectionOptions } from './connection.js';
import { imagesOf } from './each-image.js';
import { decimal, integer } from './option-values.js';
import { planPictures, writePicture } from './picture-files.js';

interface CosegmentFlags extends ConnectionOptions, Omit<CosegmentationOptions, 'picture'> {
  readonly out?: string;
  readonly coco?: string;
  readonly picture: 'mask' | 'overlay' | 'cutout';
  readonly json: boolean;
}

/** What the server takes at a time. */
const [FEWEST, MOST] = [2, 16];

/** `dino cosegment`: what a few images have in common. */
export function addCosegmentCommand(program: Command): void {
  const command = program
    .command('cosegment')
    .description('Find the objects that a few images have in common: as pictures, or as COCO annotations')
    .argument('<path...>', `${FEWEST} to ${MOST} images, or folders of them`)
    .option('-o, --out <folder>', 'folder for a PNG per image that has them')
    .option('--coco <file>', 'file for all masks as COCO annotations')
    .option(
      '--elbow <share>',
      'one cluster more has to bring the distances below, 0 to 1',
      decimal(0, 1),
      0.975,
    )
    .option('--saliency <share>', 'mean attention above which a cluster counts, 0 to 1', decimal(0, 1), 0.065)
    .option('--votes <share>', 'share of the images in which it has to, 0 to 1', decimal(0, 1), 0.75)
    .option('--clusters <count>', 'most clusters, 2 to 14', integer(2, 14), 14)
    .addOption(
      new Option('--refine <how>', 'move the edges of the masks to those of the photo')
        .choices(['none', 'bilateral'])
        .default('none'),
    )
    .addOption(
      new Option('--picture <kind>', 'what the PNG shows')
        .choices(['mask', 'overlay', 'cutout'])
        .default('mask'),
    )
    .option('--size <px>', 'longer side at which the model looks at the images', integer(16, 1024))
    .option('--model <name>', "model to use; default: the server's")
    .option('--json', 'print the COCO annotations', false);
  addConnectionOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((paths: string[], flags: CosegmentFlags) => cosegment(paths, flags));
}

const EXAMPLES = `
Examples:
  $ dino cosegment cats -o masks
  $ dino cosegment cat-1.jpg cat-2.jpg cat-3.jpg -o cut-out --picture cutout --refine bilateral
  $ dino cosegment cats --coco annotations.json
`;

async function cosegment(paths: readonly string[], flags: CosegmentFlags): Promise<void> {
  const { out, coco, json, picture } = flags;
  if (out === undefined && coco === undefined && !json)
    throw usageError('give -o FOLDER for pictures, --coco FILE or --json for annotations');
  const files = await imagesOf(paths);
  if (files.length < FEWEST || files.length > MOST)
    throw usageError(`give ${FEWEST} to ${MOST} images, not ${files.length}`);
  const pictures = out === undefined ? undefined : planPictures(files, out);
  const images = await Promise.all(files.map(({ path }) => readFile(path)));
  await withServer({ ...flags, storesNothing: true }, async (client) => {
    const { elbow, saliency, votes, clusters, refine, size, model } = flags;
    const options = { elbow, saliency, votes, clusters, refine, size, model };
    if (pictures !== undefined) {
      const found = await client.cosegmentation(images, { ...options, format: 'png', picture });
      for (const [index, { masks }] of found.images.entries()) {
        const path = pictures.get(files[index]!.path)!;
        const [mask] = masks;
        if (mask === undefined) {
          process.stderr.write(`dino: ${files[index]!.path}: nothing in common with the others\n`);
          continue;
        }
        await writePicture(path, Buffer.from(mask.png!.slice(mask.png!.indexOf(',') + 1), 'base64'));
        if (!json) process.stdout.write(`${path}\n`);
      }
    }
    if (coco === undefined && !json) return;
    const found = await client.cosegmentation(images, options);
    const dataset = new CocoDataset();
    for (const [index, image] of found.images.entries()) dataset.add(files[index]!.name, image);
    if (coco !== undefined) await writePicture(coco, Buffer.from(`${JSON.stringify(dataset)}\n`));
    if (json) process.stdout.write(`${JSON.stringify(dataset)}\n`);
  });
}
