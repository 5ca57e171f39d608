import { join } from 'node:path';
import { readArchive, writeArchive } from './archive.js';
import { checkDatabase } from './check-database.js';
import { DATABASE } from './manifest.js';
import type { SnapshotOutcome, SnapshotTask } from './snapshot-tasks.js';

/** Entry of the thread that packs and reads snapshots; what is packed is checked from end to end first. */
export default async function run(task: SnapshotTask): Promise<SnapshotOutcome> {
  try {
    if (task.kind === 'read') return { ok: true, ...(await readArchive(task.path)) };
    const { id, createdAt, folder, contents, path } = task;
    const { named, ...facts } = checkDatabase(join(folder, DATABASE));
    const written = await writeArchive({ folder, contents, named, path }, { id, createdAt, ...facts });
    return { ok: true, ...written };
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    return { ok: false, message, code };
  }
}
