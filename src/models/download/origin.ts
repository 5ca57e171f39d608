import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathBelowBase } from '../importing/catalog.js';
import { DownloadError } from './download-error.js';

/** Where published files are taken from: their public addresses, a mirror of them, or a folder of this machine. */
export type Origin =
  | { readonly kind: 'public' }
  | { readonly kind: 'mirror'; readonly base: string }
  | { readonly kind: 'folder'; readonly path: string };

/**
 * Reads what `--from` says.
 *
 * @throws DownloadError when it is neither a URL nor a folder
 */
export async function readOrigin(from: string | undefined): Promise<Origin> {
  if (from === undefined) return { kind: 'public' };
  if (/^https?:\/\//i.test(from)) {
    if (!URL.canParse(from)) throw new DownloadError(`${from} is not a URL.`);
    return { kind: 'mirror', base: from.endsWith('/') ? from : `${from}/` };
  }
  const path = resolve(from);
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder)
    throw new DownloadError(`${from} is neither a folder nor a URL that begins with http:// or https://.`);
  return { kind: 'folder', path };
}

/** The address on the mirror of a public one: the same path below another base. */
export function onMirror(base: string, url: string): string {
  return new URL(pathBelowBase(url), base).href;
}

/** Where a folder may hold a public file: at its path below the public base, or at any end of that path. */
export function inFolder(folder: string, url: string, fileName: string): string[] {
  const parts = pathBelowBase(url).split('/');
  // On the hub: owner/name/resolve/revision/file, kept by most tools as owner/name/file.
  const short = parts[2] === 'resolve' ? [...parts.slice(0, 2), ...parts.slice(4)] : parts;
  const ends = short.map((_, index) => short.slice(index));
  const candidates = [parts, ...ends, [fileName]].map((path) => join(folder, ...path));
  return [...new Set(candidates)];
}
