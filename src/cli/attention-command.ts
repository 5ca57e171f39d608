import { basename } from 'node:path';
import type { Command } from 'commander';
import type { DinoClient } from '../client/dino-client.js';
import type { AttentionMaps } from '../client/resources.js';
import { makeAttentionVideo } from './attention-video.js';
import { usageError } from './command-error.js';
import { addConnectionOptions, withServer, type ConnectionOptions } from './connection.js';
import { eachImage, imagesOf, titleBesideLines } from './each-image.js';
import { isVideoName, VideoWriter } from './ffmpeg.js';
import type { ImageFile } from './image-files.js';
import { decimal, headOr, integer } from './option-values.js';
import { planPictures, writePicture } from './picture-files.js';

interface AttentionFlags extends ConnectionOptions {
  readonly out?: string;
  readonly video?: string;
  readonly fps?: number;
  readonly head: number | 'all';
  readonly rollout: boolean;
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
    .description('Draw the self-attention of images and videos, or print it as numbers')
    .argument('<path...>', 'images, folders of images, or videos')
    .option('-o, --out <folder>', 'folder for a PNG per image, an MP4 per video')
    .option('--video <file>', 'put the pictures of all images together as one video, in order')
    .option('--fps <n>', "frames a second; default: a video's own, and 25 for --video", decimal(0.1, 240))
    .option('--head <head>', 'one head, from 0, or all: side by side', headOr('all'), 'all')
    .option('--rollout', 'one map of the attention over all blocks instead of the heads', false)
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
  $ dino attention clip.mp4 -o heat-maps --head 0 --overlay
  $ dino attention frames --video attention.mp4 --fps 10
`;

async function attention(paths: readonly string[], flags: AttentionFlags): Promise<void> {
  const { out, video, json, rollout, head } = flags;
  if (rollout && head !== 'all') throw usageError('--rollout is one map of all heads: leave out --head');
  if (out === undefined && video === undefined && !json)
    throw usageError('give -o FOLDER for pictures, --video FILE for a video or --json for numbers');
  const videos = paths.filter(isVideoName);
  const images = paths.filter((path) => !isVideoName(path));
  if (videos.length > 0 && out === undefined)
    throw usageError(`give -o FOLDER: where the video made of ${videos[0]} goes`);
  const plan = planPictures(
    videos.map((path) => ({ path, name: basename(path) })),
    out ?? '',
    '.mp4',
  );
  const files = images.length === 0 ? [] : await imagesOf(images);
  if (video !== undefined && files.length === 0)
    throw usageError('--video puts images together: give a folder of frames');
  await withServer({ ...flags, storesNothing: true }, async (client) => {
    const { overlay, opacity, size, model, fps } = flags;
    const picture = { head, rollout, overlay, opacity, size, model };
    for (const source of videos) {
      const target = plan.get(source)!;
      await makeAttentionVideo(client, { source, target, fps, picture });
      if (!json) process.stdout.write(`${target}\n`);
      else process.stdout.write(`${JSON.stringify({ file: source, video: target })}\n`);
    }
    if (files.length > 0) await ofImages(client, files, flags);
  });
}

async function ofImages(
  client: DinoClient,
  files: readonly ImageFile[],
  { out, video, fps = 25, head, rollout, overlay, opacity, size, model, json }: AttentionFlags,
): Promise<void> {
  const pictures = out === undefined ? undefined : planPictures(files, out);
  const writer = video === undefined ? undefined : await VideoWriter.create(video, String(fps));
  try {
    const work = async (bytes: Uint8Array, { path }: ImageFile) => {
      const picture = pictures?.get(path);
      const isDrawn = picture !== undefined || writer !== undefined;
      const png = isDrawn
        ? await client.attentionPicture(bytes, { head, rollout, overlay, opacity, size, model })
        : undefined;
      if (picture !== undefined) await writePicture(picture, png!);
      return {
        picture,
        png,
        maps: json ? await client.attention(bytes, { head, rollout, size, model }) : undefined,
      };
    };
    const title = titleBesideLines('attention', pictures !== undefined || json);
    const outcomes = eachImage(files, work, { title });
    for await (const outcome of outcomes) {
      const file = outcome.file.path;
      if ('error' in outcome) {
        print(json, { file, error: outcome.error });
        continue;
      }
      const { picture, png, maps } = outcome.result;
      await writer?.write(png!);
      print(json, { file, picture, maps });
    }
    await writer?.finish();
  } catch (error) {
    await writer?.abort();
    throw error;
  }
  if (video !== undefined && !json) process.stdout.write(`${video}\n`);
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
