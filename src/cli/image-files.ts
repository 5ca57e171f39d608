import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join, resolve } from 'node:path';
import { CommandError, usageError } from './command-error.js';

/** Names that say "image". The last ones are not read by the server; its answer says what to do about them. */
const IMAGE_EXTENSIONS = new Set(
  ['jpg', 'jpeg', 'jpe', 'jfif', 'png', 'webp', 'gif', 'avif'].concat(['heic', 'heif', 'tif', 'tiff', 'bmp']),
);

export interface ImageFile {
  readonly path: string;
  /** Path within the folder that was named, with forward slashes; the file's name where it was named itself. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

export interface FoundFiles {
  readonly images: ImageFile[];
  /** Names of files in folders that are no images. */
  readonly others: string[];
}

/** Whether files with this extension (without the dot) are images. */
export function isImageExtension(extension: string): boolean {
  return IMAGE_EXTENSIONS.has(extension.toLowerCase());
}

/**
 * Finds the images of files and folders, folders with everything below them in ascending order of name. Hidden
 * files and folders are passed over; a file that is named itself is taken whatever it is called. Of several
 * folders, the folder's own name comes first in the names of its images.
 *
 * @throws CommandError (2) for a path that is not there
 */
export async function findImageFiles(paths: readonly string[]): Promise<FoundFiles> {
  const found: FoundFiles = { images: [], others: [] };
  const kinds = await Promise.all(paths.map(async (path) => ({ path, info: await inspect(path) })));
  const folders = kinds.filter(({ info }) => info.isDirectory()).length;
  for (const { path, info } of kinds) {
    if (info.isDirectory()) await walk(path, folders > 1 ? `${basename(resolve(path))}/` : '', found);
    else found.images.push({ path, name: basename(path), size: info.size });
  }
  return found;
}

/** @throws CommandError (2) where there is nothing */
async function inspect(path: string) {
  try {
    return await stat(path);
  } catch (cause) {
    throw usageError(`${path}: ${explain(cause)}`, cause);
  }
}

async function walk(folder: string, prefix: string, found: FoundFiles): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw new CommandError(`${folder}: ${explain(cause)}`, { cause });
  });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    const name = prefix + entry.name;
    if (entry.isDirectory()) {
      await walk(path, `${name}/`, found);
    } else if (isImageExtension(extname(entry.name).slice(1))) {
      const info = await stat(path).catch(() => undefined);
      // A link to a folder could lead in circles; one to nowhere fails when it is read.
      if (info?.isDirectory()) found.others.push(name);
      else found.images.push({ path, name, size: info?.size ?? 0 });
    } else {
      found.others.push(name);
    }
  }
}

/** Says what the file system said, in words. */
export function explain(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file or folder';
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  if (code === 'EISDIR') return 'this is a folder, not a file';
  return message;
}
