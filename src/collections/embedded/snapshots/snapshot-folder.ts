import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { ReadStream } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { DinoError } from '../../../errors.js';
import { damaged, explainStorageCode } from '../storage-errors.js';
import { CONTENTS } from '../contents/content-files.js';
import { syncPath } from '../sync-path.js';
import type { Snapshot } from './manifest.js';
import type { SnapshotOutcome, SnapshotTask } from './snapshot-tasks.js';

const ENTRY = fileURLToPath(new URL('./snapshot-worker.js', import.meta.url));
const ID = /^\d{8}T\d{6}Z-[0-9a-f]{8}$/;
const UNFINISHED = '.creating-';

/** What a snapshot is made of. */
export interface BackupSource {
  /** Copies the database and the graphs into a folder; what they name of `contents` stays there until `endBackup`. */
  backUp(
    folder: string,
    options: { signal: AbortSignal; onProgress: (donePages: number, totalPages: number) => void },
  ): Promise<void>;
  endBackup(): Promise<void>;
}

export interface CreateSnapshot {
  readonly source: BackupSource;
  readonly signal: AbortSignal;
  /** Told how many pages of the database have been copied. */
  readonly onProgress?: (donePages: number, totalPages: number) => void;
}

/**
 * Snapshots in the data folder's `snapshots/`: `<id>.tar`, and `<id>.json` beside it, which is written last. What a crash
 * leaves half made has no such file, and is removed by the next start.
 */
export class SnapshotFolder {
  readonly #path: string;
  readonly #contents: string;

  constructor(dataDir: string) {
    this.#contents = join(dataDir, CONTENTS);
    this.#path = join(dataDir, 'snapshots');
  }

  /** Creates the folder and removes what a crash has left. */
  async open(): Promise<void> {
    await mkdir(this.#path, { recursive: true });
    const names = await readdir(this.#path);
    const stray = names.filter(
      (name) =>
        name.startsWith(UNFINISHED) ||
        name.endsWith('.tmp') ||
        (name.endsWith('.tar') && !names.includes(name.replace(/tar$/, 'json'))),
    );
    for (const name of stray) await rm(join(this.#path, name), { recursive: true, force: true });
  }

  /** The latest first. */
  async list(): Promise<Snapshot[]> {
    const ids = (await readdir(this.#path)).flatMap((name) => {
      const id = name.replace(/\.json$/, '');
      return id !== name && ID.test(id) ? [id] : [];
    });
    return Promise.all(
      ids
        .sort()
        .reverse()
        .map((id) => this.get(id)),
    );
  }

  /** @throws not-found */
  async get(id: string): Promise<Snapshot> {
    try {
      if (ID.test(id)) return JSON.parse(await readFile(join(this.#path, `${id}.json`), 'utf8')) as Snapshot;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT')
        throw damaged(`The description of snapshot ${id}`, cause);
    }
    throw new DinoError('not-found', `There is no snapshot ${id}.`);
  }

  /** The archive's bytes. */
  read(snapshot: Snapshot): ReadStream {
    return createReadStream(join(this.#path, `${snapshot.id}.tar`));
  }

  /** @throws what the source throws; internal when something stored is damaged; insufficient-storage */
  async create({ source, signal, onProgress = () => undefined }: CreateSnapshot): Promise<Snapshot> {
    const now = new Date();
    const id = `${now.toISOString().replace(/[-:]|\.\d+/g, '')}-${randomBytes(4).toString('hex')}`;
    const folder = join(this.#path, `${UNFINISHED}${id}`);
    const archive = join(folder, 'archive');
    try {
      await mkdir(join(folder, 'parts'), { recursive: true });
      const parts = join(folder, 'parts');
      await source.backUp(parts, { signal, onProgress });
      const task = {
        kind: 'pack',
        folder: parts,
        contents: this.#contents,
        path: archive,
        id,
        createdAt: now.toISOString(),
      } as const;
      const { manifest, bytes, sha256 } = await work(task, signal).finally(() => source.endBackup());
      const snapshot: Snapshot = { ...manifest, bytes, sha256 };
      const description = join(folder, 'description');
      await writeFile(description, JSON.stringify(snapshot, undefined, 2), { flush: true });
      await rename(archive, join(this.#path, `${id}.tar`));
      await syncPath(this.#path);
      await rename(description, join(this.#path, `${id}.json`));
      await syncPath(this.#path);
      return snapshot;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Reads a snapshot from end to end. @returns what is wrong with it; undefined when it is whole */
  async findDamage(snapshot: Snapshot): Promise<string | undefined> {
    const outcome = await runTask({ kind: 'read', path: join(this.#path, `${snapshot.id}.tar`) });
    if (!outcome.ok) return outcome.message;
    return outcome.sha256 === snapshot.sha256 ? undefined : 'its SHA-256 is not the one it was made with';
  }

  /** @throws not-found */
  async delete(id: string): Promise<void> {
    await this.get(id);
    await rm(join(this.#path, `${id}.json`));
    await rm(join(this.#path, `${id}.tar`), { force: true });
  }
}

async function work(
  task: SnapshotTask,
  signal: AbortSignal,
): Promise<Extract<SnapshotOutcome, { ok: true }>> {
  const outcome = await runTask(task, signal);
  if (outcome.ok) return outcome;
  throw explainStorageCode(outcome.code, outcome.message) ?? damaged(`The data folder (${outcome.message})`);
}

/** A thread for one task: snapshots are rare. */
async function runTask(task: SnapshotTask, signal?: AbortSignal): Promise<SnapshotOutcome> {
  const pool = new Piscina({ filename: ENTRY, maxThreads: 1 });
  try {
    return (await pool.run(task, { signal })) as SnapshotOutcome;
  } finally {
    await pool.destroy();
  }
}
