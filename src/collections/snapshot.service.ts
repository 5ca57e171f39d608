import type { Readable } from 'node:stream';
import type { Job } from '../jobs/job.js';
import type { JobRunner } from '../jobs/job-runner.js';
import type { Snapshot } from './embedded/snapshots/manifest.js';
import type { BackupSource, SnapshotFolder } from './embedded/snapshots/snapshot-folder.js';

export type { Snapshot } from './embedded/snapshots/manifest.js';

/** Copies of all collections as they were at one moment, kept in the data folder. */
export class SnapshotService {
  readonly #source: BackupSource;
  readonly #folder: SnapshotFolder;
  readonly #jobs: JobRunner;

  constructor(parts: { store: BackupSource; folder: SnapshotFolder; jobs: JobRunner }) {
    this.#source = parts.store;
    this.#folder = parts.folder;
    this.#jobs = parts.jobs;
  }

  /**
   * Starts to make one, while reads and writes go on. It is checked from end to end before it counts.
   *
   * @returns a job whose steps are pages of the database, and whose result is `{snapshot: <id>}`
   * @throws conflict while another one is being made
   */
  create(): Job {
    return this.#jobs.start('snapshot', { alone: true }, async (job) => {
      const { id } = await this.#folder.create({
        source: this.#source,
        signal: job.signal,
        onProgress: (done, total) => job.report(done, total),
      });
      return { snapshot: id };
    });
  }

  /** The latest first. */
  list(): Promise<Snapshot[]> {
    return this.#folder.list();
  }

  /** @throws not-found */
  get(id: string): Promise<Snapshot> {
    return this.#folder.get(id);
  }

  /** @throws not-found */
  async read(id: string): Promise<{ snapshot: Snapshot; bytes: Readable }> {
    const snapshot = await this.#folder.get(id);
    return { snapshot, bytes: this.#folder.read(snapshot) };
  }

  /** Reads one from end to end. @returns what is wrong with it; undefined when it is whole. @throws not-found */
  async verify(id: string): Promise<string | undefined> {
    return this.#folder.findDamage(await this.#folder.get(id));
  }

  /** @throws not-found */
  delete(id: string): Promise<void> {
    return this.#folder.delete(id);
  }
}
