import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { extract } from 'tar-stream';
import { UsageError } from './read-options.js';

/** What is measured with unless another tar is given: photos beside the checkout. */
export const SALIENT_PHOTOS = '../shared/data/ecssd-dev.tar';
/** The same of CLASS/NAME.jpg: those that are stored, and those that are asked about. */
export const STORED_PHOTOS = '../shared/data/caltech101-train-0.tar';
export const ASKED_PHOTOS = '../shared/data/caltech101-val.tar';

export interface TarPhoto {
  /** Path in the tar: CLASS/NAME.jpg where it is labelled. */
  readonly name: string;
  readonly jpeg: Buffer;
}

/** A class of pictures of nothing in particular: it has no right answer. */
export const NO_CLASS = 'BACKGROUND_Google';

export function classOf({ name }: { readonly name: string }): string {
  return name.split('/')[0]!;
}

/** The files of a tar, in their order. @throws UsageError when it can't be read */
export async function* readTar(path: string): AsyncGenerator<{ name: string; bytes: Buffer }> {
  // What is wrong with the file comes out of the archive.
  const archive = pipeline(createReadStream(path), extract(), () => undefined);
  try {
    for await (const entry of archive) {
      const parts: Buffer[] = [];
      for await (const part of entry) parts.push(part as Buffer);
      yield { name: entry.header.name, bytes: Buffer.concat(parts) };
    }
  } catch (cause) {
    throw new UsageError(`there are no photos at ${path}: ${(cause as Error).message}`);
  }
}

/**
 * The first JPEGs of tars, in their order.
 *
 * @throws UsageError when a tar can't be read or there is no JPEG in them
 */
export async function readTarPhotos(tars: readonly string[], limit: number): Promise<TarPhoto[]> {
  const photos: TarPhoto[] = [];
  for (const path of tars) {
    for await (const { name, bytes } of readTar(path)) {
      if (name.endsWith('.jpg')) photos.push({ name, jpeg: bytes });
      if (photos.length >= limit) return photos;
    }
  }
  if (photos.length === 0) throw new UsageError(`there is no .jpg in ${tars.join(', ')}`);
  return photos;
}

let made = 0;

/**
 * The same picture in a file that was never sent before, by a comment in its header: what a server remembers of files
 * is of no use to it.
 */
export function asNewFile(jpeg: Buffer): Buffer {
  const comment = Buffer.alloc(12);
  comment.writeUInt16BE(0xfffe, 0);
  comment.writeUInt16BE(comment.length - 2, 2);
  comment.writeDoubleBE(made++, 4);
  return Buffer.concat([jpeg.subarray(0, 2), comment, jpeg.subarray(2)]);
}
