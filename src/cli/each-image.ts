import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { DinoClientError } from '../client/dino-client-error.js';
import { CommandError, usageError } from './command-error.js';
import { explain, findImageFiles, type ImageFile } from './image-files.js';
import { createProgress } from './progress.js';

/** What became of one image. */
export type Outcome<Result> =
  | { readonly file: ImageFile; readonly result: Result }
  | { readonly file: ImageFile; readonly error: { readonly code: string; readonly detail: string } };

/** Images under way at a time; the server puts them together in batches. */
const CONCURRENCY = 4;

/** Answers that are about one image alone. */
const IMAGE_AT_FAULT = new Set([400, 413, 415, 422]);

/**
 * The images of files and folders.
 *
 * @throws CommandError (2) where a path is not there or there is no image
 */
export async function imagesOf(paths: readonly string[]): Promise<ImageFile[]> {
  const { images } = await findImageFiles(paths);
  if (images.length === 0) throw usageError(`there are no images in ${paths.join(', ')}`);
  return images;
}

/**
 * Does something with each image, a few at a time, and gives what became of them in order. An image that can't be
 * read, by us or by the server, is named on standard error, and the others go on.
 *
 * @param options.title what is going on, where progress is to be shown; none for a single image
 * @throws whatever ends the command as a whole; CommandError at the end where images have failed
 */
export async function* eachImage<Result>(
  files: readonly ImageFile[],
  work: (bytes: Uint8Array, file: ImageFile) => Promise<Result>,
  { title }: { readonly title?: string } = {},
): AsyncGenerator<Outcome<Result>, void> {
  let failed = 0;
  const progress =
    title !== undefined && files.length > 1 ? createProgress({ title, total: files.length }) : undefined;
  const outcomes = Readable.from(files).map((file: ImageFile) => attempt(file, work), {
    concurrency: CONCURRENCY,
  });
  try {
    for await (const outcome of outcomes as AsyncIterable<Outcome<Result>>) {
      if ('error' in outcome) {
        failed += 1;
        process.stderr.write(`dino: ${outcome.file.path}: ${outcome.error.detail}\n`);
      }
      progress?.advance(1, 1);
      yield outcome;
    }
  } finally {
    progress?.stop();
  }
  if (failed > 0 && files.length > 1) throw new CommandError(`${failed} of ${files.length} images failed`);
  if (failed > 0) process.exitCode = 1;
}

/** The title for progress, unless the lines that a command prints show it on the same terminal. */
export function titleBesideLines(title: string, printsLines: boolean): string | undefined {
  return printsLines && process.stdout.isTTY ? undefined : title;
}

async function attempt<Result>(
  file: ImageFile,
  work: (bytes: Uint8Array, file: ImageFile) => Promise<Result>,
): Promise<Outcome<Result>> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file.path);
  } catch (error) {
    return { file, error: { code: 'unreadable-file', detail: explain(error) } };
  }
  try {
    return { file, result: await work(bytes, file) };
  } catch (error) {
    if (!(error instanceof DinoClientError) || !IMAGE_AT_FAULT.has(error.status ?? 0)) throw error;
    return { file, error: { code: error.code, detail: error.detail } };
  }
}
