import Database from 'better-sqlite3';
import { DinoError } from '../../errors.js';
import { MIGRATIONS } from './schema.js';

/** How long to wait for a process that is just leaving the data folder. */
const LOCK_WAIT_MS = 1000;

/**
 * Opens or creates the database, takes it for this process alone, and brings its schema up to date.
 * While it is open nothing in this process may open the same file by other means: closing any
 * descriptor of it would drop the lock.
 *
 * @throws conflict when another process has the file, or when its schema is newer than this code's
 */
export function openDatabase(path: string): Database.Database {
  const db = new Database(path, { timeout: LOCK_WAIT_MS });
  try {
    // Before the first access, so that the write-ahead log is never shared between processes.
    db.pragma('locking_mode = EXCLUSIVE');
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma('foreign_keys = ON');
    db.transaction(() => migrate(db, path)).immediate();
    return db;
  } catch (error) {
    db.close();
    throw explain(error, path);
  }
}

function migrate(db: Database.Database, path: string): void {
  const version = db.pragma('user_version', { simple: true }) as number;
  if (version > MIGRATIONS.length) {
    throw new DinoError(
      'conflict',
      `${path} was written by a newer version of dino-server (its schema is ${version}, this version knows ${MIGRATIONS.length}). Start that version, or use another data folder.`,
    );
  }
  for (const migration of MIGRATIONS.slice(version)) db.exec(migration);
  if (version < MIGRATIONS.length) db.pragma(`user_version = ${MIGRATIONS.length}`);
}

function explain(error: unknown, path: string): unknown {
  const code = error instanceof Database.SqliteError ? error.code : '';
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    return new DinoError(
      'conflict',
      `The data folder is in use by another process (${path} is locked). Stop it, choose another data folder, or talk to the running server with --url.`,
      { cause: error },
    );
  }
  if (code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT')) {
    const detail = `${path} is damaged or not a database. Restore the data folder from a snapshot: dino snapshots restore.`;
    return new DinoError('internal', detail, { cause: error });
  }
  return error;
}
