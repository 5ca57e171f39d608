import { readFile } from 'node:fs/promises';
import { show } from '../../input-checks.js';
import type { Picture } from '../../collection-store.js';
import { DinoError } from '../../../errors.js';
import { sha256 } from '../../../sha256.js';
import { contentPath } from './content-files.js';

/** An original as the database knows it. */
export interface StoredContent extends Omit<Picture, 'bytes'> {
  /** Null where the bytes are a file. */
  readonly bytes: Uint8Array | null;
}

/**
 * Reads an original and compares it with its SHA-256, without the store's thread but for the row.
 *
 * @param find the image's row as it is now; asked again when the file it named has gone meanwhile
 * @throws what `find` throws; internal when the bytes are damaged or missing
 */
export async function readContent(
  { folder, collection, id }: { folder: string; collection: string; id: string },
  find: () => Promise<StoredContent>,
): Promise<Picture> {
  const what = `The content of image ${show(id)} in collection "${collection}"`;
  for (let missed: string | undefined; ;) {
    const stored = await find();
    const bytes = stored.bytes ?? (await tryRead(contentPath(folder, stored.contentHash)));
    if (bytes === undefined) {
      // Replaced or deleted since; where the row still names it, it is lost.
      if (missed === stored.contentHash) throw lost(`${what} is missing`, stored);
      missed = stored.contentHash;
      continue;
    }
    if ((await sha256(bytes)) !== stored.contentHash) throw lost(`${what} is damaged`, stored);
    return { ...stored, bytes };
  }
}

async function tryRead(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new DinoError('internal', `${path} can't be read (${code}).`, { cause });
  }
}

function lost(what: string, { contentHash, bytes }: StoredContent): DinoError {
  const place = bytes === null ? contentPath('contents', contentHash) : 'dino.sqlite';
  const detail = `${what} (${place}). Delete the image and store it again, or restore the data folder from a snapshot: dino snapshots restore.`;
  return new DinoError('internal', detail);
}
