import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, extname, resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { CommandError } from './command-error.js';
import { splitPngs } from './png-stream.js';

const VIDEO_EXTENSIONS = new Set(
  ['mp4', 'm4v', 'mov', 'mkv', 'webm', 'avi', 'mpg', 'mpeg', 'wmv', 'ogv'].map((name) => `.${name}`),
);

/** What is known of a video before it is read. */
export interface VideoInfo {
  /** Frames a second as ffmpeg writes it, such as `30000/1001`. */
  readonly rate: string;
  /** Seconds; undefined where the file doesn't say. */
  readonly seconds: number | undefined;
}

/** Whether a file with this name is a video. */
export function isVideoName(name: string): boolean {
  return VIDEO_EXTENSIONS.has(extname(name).toLowerCase());
}

/** @throws CommandError where ffmpeg is not installed, or the file is no video */
export async function probeVideo(path: string): Promise<VideoInfo> {
  const entries = 'stream=avg_frame_rate,r_frame_rate:format=duration';
  const args = ['-v', 'error', ...LOCAL, '-select_streams', 'v:0', '-show_entries', entries, '-of', 'json'];
  const probe = start('ffprobe', [...args, resolve(path)], 'read');
  let text = '';
  for await (const part of probe.output!) text += String(part);
  await probe.end(path);
  const { streams, format } = JSON.parse(text) as {
    streams?: { avg_frame_rate: string; r_frame_rate: string }[];
    format?: { duration?: string };
  };
  const rates = [streams?.[0]?.avg_frame_rate, streams?.[0]?.r_frame_rate];
  const rate = rates.find((given) => given !== undefined && /^[1-9]/.test(given) && !given.endsWith('/0'));
  if (rate === undefined) throw new CommandError(`${path}: there are no moving pictures in it`);
  const seconds = Number(format?.duration);
  return { rate, seconds: Number.isFinite(seconds) ? seconds : undefined };
}

/**
 * The frames of a video as PNGs, one after another; none is kept.
 *
 * @param rate frames a second
 * @throws CommandError where ffmpeg is not installed or can't read the file
 */
export async function* readFrames(path: string, rate: string): AsyncGenerator<Buffer, void> {
  const filter = ['-an', '-vf', `fps=${rate}`, '-c:v', 'png', '-f', 'image2pipe', '-'];
  const reader = start('ffmpeg', [...QUIET, ...LOCAL, '-i', resolve(path), ...filter], 'read');
  try {
    yield* splitPngs(reader.output!);
    await reader.end(path);
  } finally {
    await reader.kill();
  }
}

/** Writes pictures as a video. It lies at its place once it is whole, and not before. */
export class VideoWriter {
  readonly #path: string;
  readonly #partPath: string;
  readonly #ffmpeg: Running;

  private constructor(path: string, rate: string) {
    this.#path = resolve(path);
    this.#partPath = `${this.#path}.part${extname(path)}`;
    // Most players want this form of colour, which has a quarter as many as pixels: sides must be even.
    const filter = ['-vf', 'pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white', '-pix_fmt', 'yuv420p'];
    const input = ['-f', 'image2pipe', '-framerate', rate, '-c:v', 'png', '-i', '-'];
    this.#ffmpeg = start('ffmpeg', [...QUIET, ...input, ...filter, '-y', this.#partPath], 'write');
  }

  /** @param path its extension says what kind of video it becomes */
  static async create(path: string, rate: string): Promise<VideoWriter> {
    await mkdir(dirname(resolve(path)), { recursive: true });
    return new VideoWriter(path, rate);
  }

  /** @throws CommandError when ffmpeg has given up */
  async write(png: Uint8Array): Promise<void> {
    const { input } = this.#ffmpeg;
    if (input!.destroyed) return this.#ffmpeg.end(this.#path);
    if (!input!.write(png)) await Promise.race([once(input!, 'drain'), once(input!, 'close')]);
  }

  /** @throws CommandError when ffmpeg can't write the video */
  async finish(): Promise<void> {
    this.#ffmpeg.input!.end();
    await this.#ffmpeg.end(this.#path);
    await rename(this.#partPath, this.#path);
  }

  /** Gives up: nothing is left. */
  async abort(): Promise<void> {
    await this.#ffmpeg.kill();
    await rm(this.#partPath, { force: true });
  }
}

const QUIET = ['-hide_banner', '-loglevel', 'error', '-nostdin'];

/** A file that names others, as a playlist does, must not make ffmpeg fetch them. */
const LOCAL = ['-protocol_whitelist', 'file,pipe'];

interface Running {
  readonly input: Writable | null;
  readonly output: Readable | null;
  /** Waits for the end. @throws CommandError about `path` where it was no success */
  end(path: string): Promise<void>;
  /** Ends it, and waits until it has ended. */
  kill(): Promise<void>;
}

/** Starts a program with its arguments as they are: no shell reads them. */
function start(program: 'ffmpeg' | 'ffprobe', args: readonly string[], way: 'read' | 'write'): Running {
  const child: ChildProcess = spawn(program, args, {
    stdio: [way === 'write' ? 'pipe' : 'ignore', way === 'read' ? 'pipe' : 'ignore', 'pipe'],
  });
  let complaints = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (complaints += text));
  // What a broken pipe means is told by the end of the program.
  child.stdin?.on('error', () => undefined);
  const ended = new Promise<number | null>((done, fail) => {
    child.once('error', (cause: NodeJS.ErrnoException) => fail(explainStart(program, cause)));
    child.once('close', done);
  });
  ended.catch(() => undefined);
  return {
    input: child.stdin,
    output: child.stdout,
    async end(path) {
      const code = await ended;
      if (code === 0) return;
      const reason = complaints.trim().split('\n').at(-1) || `it ended with ${code}`;
      throw new CommandError(`${path}: ${program} failed: ${reason}`);
    },
    async kill() {
      child.stdin?.destroy();
      // ffmpeg takes a gentler signal only between frames, and may wait for one for ever.
      child.kill('SIGKILL');
      await ended.catch(() => undefined);
    },
  };
}

function explainStart(program: string, cause: NodeJS.ErrnoException): CommandError {
  if (cause.code !== 'ENOENT') return new CommandError(`${program}: ${cause.message}`, { cause });
  const message =
    `ffmpeg, which reads and writes videos, is not installed (there is no ${program}). Install it, ` +
    'or give a folder of frames: each of them becomes a picture';
  return new CommandError(message, { cause });
}
