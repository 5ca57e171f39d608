import { performance } from 'node:perf_hooks';
import type { Database } from 'better-sqlite3';

/** Pages per step; 1 MiB of the usual 4 KiB ones. */
const PAGES_PER_STEP = 256;

export interface BackupProgress {
  readonly donePages: number;
  readonly totalPages: number;
  readonly finished: boolean;
}

/**
 * A copy of an open database, made in slices with SQLite's backup interface (https://www.sqlite.org/backup.html). What
 * the same connection writes in between is carried over to the copy, so that it ends as the database is at its last slice,
 * and never has to begin again.
 */
export class OnlineBackup {
  private readonly finished: Promise<void>;
  private deadline = 0;
  private cancelled = false;
  private pause: ((progress: BackupProgress) => void) | undefined;
  private totalPages = 0;

  /** @param path a file that is not there yet */
  constructor(db: Database, path: string) {
    this.finished = db
      .backup(path, { progress: ({ totalPages, remainingPages }) => this.next(totalPages, remainingPages) })
      .then(({ totalPages }) => void (this.totalPages = totalPages));
    // Told to whoever asks for the next slice.
    this.finished.catch(() => undefined);
  }

  /** Copies for about so long, one step at least. @throws what SQLite throws, e.g. for a full disk */
  slice(milliseconds: number): Promise<BackupProgress> {
    this.deadline = performance.now() + milliseconds;
    return new Promise((resolve, reject) => {
      this.pause = resolve;
      this.finished.then(
        () => resolve({ donePages: this.totalPages, totalPages: this.totalPages, finished: true }),
        reject,
      );
    });
  }

  /** Stops; what is there of the copy is of no use. */
  async cancel(): Promise<void> {
    this.cancelled = true;
    await this.finished.catch(() => undefined);
  }

  /** @returns pages to copy next; with none, it goes round idly until the thread has something else to do */
  private next(totalPages: number, remainingPages: number): number {
    if (this.cancelled) throw new Error('the backup was cancelled');
    if (performance.now() < this.deadline) return PAGES_PER_STEP;
    this.pause?.({ donePages: totalPages - remainingPages, totalPages, finished: false });
    this.pause = undefined;
    return 0;
  }
}
