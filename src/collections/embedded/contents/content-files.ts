import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncPath } from '../sync-path.js';

/** Name of the folder, in the data folder and in a snapshot. */
export const CONTENTS = 'contents';

/**
 * Originals of so many bytes or more are files: about where writing, syncing and renaming one becomes faster than writing
 * it twice, to the log and to the database (https://www.sqlite.org/intern-v-extern-blob.html finds 100 kB).
 */
export const CONTENT_FILES_FROM = 65_536;

/** Files written at a time: the threads that wait for the disk are those that images are decoded on, and there are four. */
const WRITES_AT_A_TIME = 3;

/** Where the content with this SHA-256 lies in a folder of contents. */
export function contentPath(folder: string, hash: string): string {
  return join(folder, hash.slice(0, 2), hash.slice(2));
}

/**
 * Contents as files named by their SHA-256: `ab/cdef…`. A file is written beside its place, waited for, renamed, and its
 * folder waited for: what has its name is whole, and there after a loss of power.
 *
 * One thread at a time may write and remove; any may read.
 */
export class ContentFiles {
  /** Folders whose own names are on the disk. */
  private readonly shards = new Set<string>();

  /** Creates the folder. */
  constructor(private readonly folder: string) {
    mkdirSync(folder, { recursive: true });
  }

  /**
   * Writes contents that are not there whole already, several at a time; returns once they are on the disk.
   *
   * @param contents bytes by their SHA-256
   * @returns what went wrong, by hash; nothing is there of those
   */
  async write(contents: ReadonlyMap<string, Uint8Array>): Promise<Map<string, unknown>> {
    const failures = new Map<string, unknown>();
    const guard = async (hashes: readonly string[], work: () => Promise<void>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        for (const hash of hashes) failures.set(hash, error);
      }
    };
    const hashes = [...contents.keys()];
    const news = new Set(hashes.map(shardOf).filter((shard) => !this.shards.has(shard)));
    if (news.size > 0) await guard(hashes, () => this.addShards(news));
    await share(hashes, (hash) => guard([hash], () => this.writeOne(hash, contents.get(hash)!)));
    // Also of what was there: it may have come there just before a crash. One wait for the disk covers all that wait.
    await share([...new Set(hashes.map(shardOf))], (shard) => {
      const inside = hashes.filter((hash) => shardOf(hash) === shard);
      return guard(inside, () => syncFolder(join(this.folder, shard)));
    });
    return failures;
  }

  private async addShards(shards: ReadonlySet<string>): Promise<void> {
    for (const shard of shards) await mkdir(join(this.folder, shard), { recursive: true });
    await syncFolder(this.folder);
    for (const shard of shards) this.shards.add(shard);
  }

  private async writeOne(hash: string, bytes: Uint8Array): Promise<void> {
    const path = contentPath(this.folder, hash);
    if (await holds(path, bytes)) return;
    const temporary = `${path}.tmp`;
    try {
      const file = await open(temporary, 'w');
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  remove(hash: string): void {
    rmSync(contentPath(this.folder, hash), { force: true });
  }

  /** What there is, folder by folder. What a crash has left half written is removed on the way. */
  *list(): Generator<string[], undefined> {
    for (const shard of readdirSync(this.folder).filter((name) => /^[0-9a-f]{2}$/.test(name))) {
      const names = readdirSync(join(this.folder, shard));
      for (const name of names.filter((name) => name.endsWith('.tmp')))
        rmSync(join(this.folder, shard, name), { force: true });
      yield names.filter((name) => /^[0-9a-f]{62}$/.test(name)).map((name) => `${shard}${name}`);
    }
    return undefined;
  }
}

/** Waits until the names in a folder are on the disk; Windows cannot open a folder and needs no such thing. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform !== 'win32') await syncPath(path);
}

function shardOf(hash: string): string {
  return hash.slice(0, 2);
}

/** Whether a file has these very bytes; one that can't be read has not. */
async function holds(path: string, bytes: Uint8Array): Promise<boolean> {
  try {
    return (await readFile(path)).equals(bytes);
  } catch {
    return false;
  }
}

/** Does work on all items, so many at a time. */
async function share<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const run = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: WRITES_AT_A_TIME }, run));
}
