import Database from 'better-sqlite3';
import { DinoError } from '../../errors.js';

const FULL = /^(SQLITE_FULL|ENOSPC|EDQUOT)$/;
const READ_ONLY = /^(SQLITE_READONLY|SQLITE_CANTOPEN|SQLITE_PERM|EROFS|EACCES|EPERM)/;
const CORRUPT = /^(SQLITE_CORRUPT|SQLITE_NOTADB)/;

/**
 * What an error of SQLite or of the file system means for whoever asked: a full disk, a folder that can't be written, a
 * damaged database. In all of these the write that met it has changed nothing.
 *
 * @returns undefined for any other error
 */
export function explainStorageError(error: unknown): DinoError | undefined {
  return explainStorageCode(codeOf(error), error);
}

/** The same for the code of an error that is not at hand any more. */
export function explainStorageCode(code: string | undefined, cause: unknown): DinoError | undefined {
  if (code === undefined) return undefined;
  const options = { cause };
  if (FULL.test(code)) {
    const detail =
      'The disk of the data folder is full. Nothing was changed; reading goes on, and writing again once there is room.';
    return new DinoError('insufficient-storage', detail, options);
  }
  if (READ_ONLY.test(code)) {
    return new DinoError(
      'internal',
      `The data folder can't be written (${code}). Nothing was changed.`,
      options,
    );
  }
  if (CORRUPT.test(code)) return damaged('The database', cause);
  return undefined;
}

/** @param what what is damaged, as the beginning of a sentence */
export function damaged(what: string, cause?: unknown): DinoError {
  const detail = `${what} is damaged. Restore the data folder from a snapshot: dino snapshots restore.`;
  return new DinoError('internal', detail, { cause });
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof Database.SqliteError) return error.code;
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : undefined;
}
