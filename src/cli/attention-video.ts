import { Readable } from 'node:stream';
import type { DinoClient } from '../client/dino-client.js';
import type { AttentionPictureOptions } from '../client/resources.js';
import { probeVideo, readFrames, VideoWriter } from './ffmpeg.js';
import { createProgress } from './progress.js';

/** Frames under way at a time. */
const CONCURRENCY = 4;

export interface AttentionVideoOptions {
  readonly source: string;
  /** Where the video goes. */
  readonly target: string;
  /** Frames a second, of which each is looked at; default: the source's. */
  readonly fps?: number;
  readonly picture: AttentionPictureOptions;
}

/**
 * Makes a video of the attention of each frame. Frames go from one ffmpeg through the server into another; none is
 * written down.
 *
 * @throws CommandError where ffmpeg is missing or fails; then there is no video
 */
export async function makeAttentionVideo(client: DinoClient, options: AttentionVideoOptions): Promise<void> {
  const { source, target, fps, picture } = options;
  const info = await probeVideo(source);
  const rate = fps === undefined ? info.rate : String(fps);
  const progress = createProgress({ title: source, total: (info.seconds ?? 0) * perSecond(rate) });
  const writer = await VideoWriter.create(target, rate);
  try {
    const pictures = Readable.from(readFrames(source, rate)).map(
      (frame: Buffer) => client.attentionPicture(frame, picture),
      { concurrency: CONCURRENCY },
    );
    for await (const png of pictures as AsyncIterable<Uint8Array>) {
      await writer.write(png);
      progress.advance(1, 1);
    }
    await writer.finish();
  } catch (error) {
    await writer.abort();
    throw error;
  } finally {
    progress.stop();
  }
}

/** `30000/1001` as a number. */
function perSecond(rate: string): number {
  const [frames, seconds = '1'] = rate.split('/');
  return Number(frames) / Number(seconds);
}
