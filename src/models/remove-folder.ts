import { readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

const PREFIX = '.removed-';

/**
 * Takes a model's folder out of sight by one renaming, so that no half of a model is ever found.
 *
 * @returns deletes its files
 */
export async function hideFolder(folder: string): Promise<() => Promise<void>> {
  const hidden = join(dirname(folder), `${PREFIX}${basename(folder)}-${process.pid}-${Date.now()}`);
  await rename(folder, hidden);
  return () => rm(hidden, { recursive: true, force: true });
}

/** Deletes what removals that were killed have left in a folder of models, which need not be there. */
export async function deleteHiddenFolders(parent: string): Promise<void> {
  const entries = await readdir(parent).catch(() => []);
  for (const entry of entries) {
    if (entry.startsWith(PREFIX)) await rm(join(parent, entry), { recursive: true, force: true });
  }
}
