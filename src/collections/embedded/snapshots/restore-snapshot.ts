import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database } from 'better-sqlite3';
import { DinoError } from '../../../errors.js';
import { CONTENTS, contentPath } from '../contents/content-files.js';
import { openDatabase } from '../sqlite-open.js';
import { syncPath } from '../sync-path.js';
import { readArchive } from './archive.js';
import { checkDatabase } from './check-database.js';
import { DATABASE, GRAPHS } from './manifest.js';
import type { SnapshotManifest } from './manifest.js';

const UNFINISHED = '.restoring-';

export interface RestoreOptions {
  /** A snapshot's archive. */
  readonly file: string;
  readonly dataDir: string;
  /** Whether collections that are in the data folder may be lost. */
  readonly replace: boolean;
  /** Told how many bytes of the archive have been read. */
  readonly onProgress?: (bytes: number) => void;
}

/**
 * Puts a snapshot in the place of a data folder's collections; models and snapshots there stay. It is unpacked and checked
 * beside them first, and then takes their place in one rename, so that a crash leaves either the old or the new state.
 *
 * @throws conflict when there are collections already, or a server uses the folder; invalid-request for a damaged file
 */
export async function restoreSnapshot({
  file,
  dataDir,
  replace,
  onProgress,
}: RestoreOptions): Promise<SnapshotManifest> {
  const database = join(dataDir, DATABASE);
  const refuse = (): void => {
    if (replace || !existsSync(database)) return;
    const detail = `There are collections in ${dataDir} already. Choose another data folder, or lose them with --replace.`;
    throw new DinoError('conflict', detail);
  };
  refuse();
  await mkdir(dataDir, { recursive: true });
  for (const name of await readdir(dataDir))
    if (name.startsWith(UNFINISHED)) await rm(join(dataDir, name), { recursive: true });
  const folder = join(dataDir, `${UNFINISHED}${randomBytes(4).toString('hex')}`);
  try {
    await mkdir(join(folder, GRAPHS), { recursive: true });
    const manifest = await unpack(file, folder, onProgress);
    refuse();
    // Held until the new one is in its place, so that no server starts on the old one meanwhile.
    const old = existsSync(database) ? takeDatabase(database) : undefined;
    try {
      // First: the old database does without them, the new one does not. The next start removes what nothing names.
      await addContents(join(folder, CONTENTS), join(dataDir, CONTENTS));
      await rm(`${database}-wal`, { force: true });
      // Derived from the old database; without them it is whole still.
      await rm(join(dataDir, GRAPHS), { recursive: true, force: true });
      await syncPath(dataDir);
      await rename(join(folder, DATABASE), database);
      await rename(join(folder, GRAPHS), join(dataDir, GRAPHS));
      await syncPath(dataDir);
    } finally {
      old?.close();
    }
    return manifest;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Moves originals beside those that are there; one of the same name has the same bytes, or is damaged. */
async function addContents(from: string, to: string): Promise<void> {
  const shards = await readdir(from).catch(() => []);
  for (const shard of shards) {
    await mkdir(join(to, shard), { recursive: true });
    for (const name of await readdir(join(from, shard)))
      await rename(join(from, shard, name), join(to, shard, name));
    await syncPath(join(to, shard));
  }
  if (shards.length > 0) await syncPath(to);
}

async function unpack(
  file: string,
  folder: string,
  onProgress: RestoreOptions['onProgress'],
): Promise<SnapshotManifest> {
  try {
    const { manifest } = await readArchive(file, { into: folder, onProgress });
    // Brings one of an earlier version up to date, too.
    openDatabase(join(folder, DATABASE)).close();
    const { named } = checkDatabase(join(folder, DATABASE));
    for (const { hash, id } of named)
      if (!existsSync(contentPath(join(folder, CONTENTS), hash)))
        throw new Error(`the content of image "${id}" is missing`);
    await syncPath(join(folder, GRAPHS));
    await syncPath(folder);
    return manifest;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DinoError('invalid-request', `${file} can't be restored: ${reason}. Nothing was changed.`, {
      cause,
    });
  }
}

/**
 * Locks the old database and takes its write-ahead log in.
 *
 * @returns undefined for one that is damaged
 * @throws conflict when it is in use
 */
function takeDatabase(path: string): Database | undefined {
  try {
    const db = openDatabase(path);
    db.pragma('journal_mode = DELETE');
    return db;
  } catch (error) {
    if (error instanceof DinoError && error.code === 'conflict') throw error;
    return undefined;
  }
}
