import { createReadStream, existsSync } from 'node:fs';
import { extract } from 'tar-stream';
import { UsageError } from './read-options.js';

/** Where the checkout of the project's photos lies; see CONTRIBUTING.md. */
export const SALIENT_PHOTOS = '../shared/data/ecssd-dev.tar';

export interface TarPhoto {
  /** Path in the tar: CLASS/NAME.jpg where it is labelled. */
  readonly name: string;
  readonly jpeg: Buffer;
}

/**
 * The first JPEGs of tars, in their order.
 *
 * @throws UsageError when a tar is not there or there is no JPEG in them
 */
export async function readTarPhotos(tars: readonly string[], limit: number): Promise<TarPhoto[]> {
  const photos: TarPhoto[] = [];
  for (const path of tars) {
    if (!existsSync(path)) throw new UsageError(`there are no photos at ${path}`);
    for await (const entry of createReadStream(path).pipe(extract())) {
      const parts: Buffer[] = [];
      for await (const part of entry) parts.push(part as Buffer);
      if (entry.header.name.endsWith('.jpg'))
        photos.push({ name: entry.header.name, jpeg: Buffer.concat(parts) });
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
