import { Option, type Command } from 'commander';
import type { MaskOptions } from '../client/resources.js';
import { usageError } from './command-error.js';
import { CocoDataset } from './coco.js';
import { addConnectionOptions, withServer, type ConnectionOptions } from './connection.js';
import { eachImage, imagesOf, titleBesideLines } from './each-image.js';
import type { ImageFile } from './image-files.js';
import { decimal, headOr, integer, numbers } from './option-values.js';
import { planPictures, writePicture } from './picture-files.js';

interface MaskFlags extends ConnectionOptions {
  readonly out?: string;
  readonly coco?: string;
  readonly method?: MaskOptions['method'];
  readonly tau?: number;
  readonly objects?: number;
  readonly point?: string;
  readonly box?: string;
  readonly refine: 'none' | 'bilateral';
  readonly head: number | 'best' | 'union' | 'all';
  readonly threshold: number;
  readonly picture: 'mask' | 'overlay' | 'cutout';
  readonly size?: number;
  readonly model?: string;
  readonly json: boolean;
}

/** `dino mask`: object masks as pictures or as COCO annotations. */
export function addMaskCommand(program: Command): void {
  const command = program
    .command('mask')
    .description('Find the main object of images: as pictures, or as COCO annotations')
    .argument('<path...>', 'images, or folders of images')
    .option('-o, --out <folder>', 'folder for a PNG per image, of its best mask')
    .option('--coco <file>', 'file for all masks as COCO annotations')
    .addOption(
      new Option(
        '--method <name>',
        'how masks are made; default: point or box where one is given, else attention',
      ).choices(['attention', 'tokencut', 'lost', 'maskcut', 'deep-spectral', 'point', 'box']),
    )
    .option(
      '--tau <cosine>',
      'for tokencut (default 0.2) and maskcut (0.15): cosine above which two patches are alike, -1 to 1',
      decimal(-1, 1),
    )
    .option(
      '--objects <count>',
      'for maskcut and deep-spectral: most masks an image, 1 to 10; default 3',
      integer(1, 10),
    )
    .option('--point <x,y>', 'mask the object under a point, in px of the image', numbers('x,y'))
    .option('--box <x,y,w,h>', 'mask the object in a box, in px of the image', numbers('x,y,width,height'))
    .addOption(
      new Option('--refine <how>', 'move the edges of the masks to those of the photo')
        .choices(['none', 'bilateral'])
        .default('none'),
    )
    .option(
      '--head <head>',
      'for attention: best; union; all, a mask each; or one head, from 0',
      headOr('best', 'union', 'all'),
      'best',
    )
    .option('--threshold <share>', 'for attention: share of it that a mask holds, 0 to 1', decimal(0, 1), 0.6)
    .addOption(
      new Option('--picture <kind>', 'what the PNG shows')
        .choices(['mask', 'overlay', 'cutout'])
        .default('mask'),
    )
    .option('--size <px>', 'longer side at which the model looks at the image', integer(16, 1024))
    .option('--model <name>', "model to use; default: the server's")
    .option('--json', 'print the COCO annotations', false);
  addConnectionOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((paths: string[], flags: MaskFlags) => mask(paths, flags));
}

const EXAMPLES = `
Examples:
  $ dino mask cat.jpg -o masks --picture cutout
  $ dino mask photos -o masks --coco masks/annotations.json
  $ dino mask cat.jpg -o masks --method maskcut --objects 3 --refine bilateral
  $ dino mask cat.jpg -o masks --point 64,48 --picture cutout
`;

async function mask(paths: readonly string[], flags: MaskFlags): Promise<void> {
  const { out, coco, picture: kind, json } = flags;
  if (out === undefined && coco === undefined && !json) {
    throw usageError('give -o FOLDER for pictures, --coco FILE or --json for annotations');
  }
  const files = await imagesOf(paths);
  const pictures = out === undefined ? undefined : planPictures(files, out);
  const wantsNumbers = json || coco !== undefined;
  const dataset = new CocoDataset();
  const finish = async () => {
    if (coco !== undefined) await writePicture(coco, Buffer.from(`${JSON.stringify(dataset)}\n`));
    if (json) process.stdout.write(`${JSON.stringify(dataset)}\n`);
  };
  await withServer({ ...flags, storesNothing: true }, async (client) => {
    const { method, tau, objects, point, box, refine, head, threshold, size, model } = flags;
    const options = { method, tau, objects, point, box, refine, head, threshold, size, model };
    const work = async (bytes: Uint8Array, { path }: ImageFile) => {
      const picture = pictures?.get(path);
      if (picture !== undefined)
        await writePicture(picture, await client.maskPicture(bytes, { ...options, picture: kind }));
      return { picture, found: wantsNumbers ? await client.masks(bytes, options) : undefined };
    };
    const title = titleBesideLines('masks', pictures !== undefined && !json);
    const outcomes = eachImage(files, work, { title });
    try {
      for await (const outcome of outcomes) {
        if ('error' in outcome) continue;
        const { picture, found } = outcome.result;
        if (found !== undefined) dataset.add(outcome.file.name, found);
        if (picture !== undefined && !json) process.stdout.write(`${picture}\n`);
      }
    } finally {
      await finish();
    }
  });
}
