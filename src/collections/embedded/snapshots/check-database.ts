import Database from 'better-sqlite3';
import { createHash } from 'node:crypto';
import { blobChecksum } from '../blob-checksum.js';
import { MIGRATIONS } from '../schema.js';
import type { SnapshotCollection } from './manifest.js';

/** What a whole database says about itself. */
export interface DatabaseFacts {
  readonly schemaVersion: number;
  readonly collections: SnapshotCollection[];
  /** The contents that are files: SHA-256, in ascending order, and one of the images that have it. */
  readonly named: readonly NamedContent[];
}

export interface NamedContent {
  readonly hash: string;
  readonly id: string;
}

/**
 * Reads a database that nobody else has open from end to end: its pages and indices, and every vector, thumbnail and
 * content in it against its checksum.
 *
 * @throws Error that says what is damaged
 */
export function checkDatabase(path: string): DatabaseFacts {
  const db = new Database(path, { fileMustExist: true });
  try {
    // A copy of a database in WAL mode would otherwise leave files beside it.
    db.pragma('journal_mode = DELETE');
    const findings = db.pragma('integrity_check(3)') as { integrity_check: string }[];
    if (findings[0]?.integrity_check !== 'ok')
      throw new Error(findings.map((finding) => finding.integrity_check).join('; '));
    if ((db.pragma('foreign_key_check') as unknown[]).length > 0)
      throw new Error('rows refer to rows that are not there');
    const schemaVersion = db.pragma('user_version', { simple: true }) as number;
    if (schemaVersion !== MIGRATIONS.length) throw new Error(`its schema is ${schemaVersion}`);
    for (const [table, column] of [
      ['vectors', 'vector'],
      ['thumbnails', 'thumbnail'],
    ] as const) {
      checkBlobs(db, table, column);
    }
    checkContents(db);
    const collections = db
      .prepare(
        `SELECT name, model, dimension, (SELECT count(*) FROM images WHERE collection = collections.row) AS count
         FROM collections ORDER BY name`,
      )
      .all() as SnapshotCollection[];
    return { schemaVersion, collections, named: namedContents(db) };
  } finally {
    db.close();
  }
}

function checkBlobs(db: Database.Database, table: string, column: string): void {
  const rows = db
    .prepare(
      `SELECT id, ${column} AS bytes, checksum FROM ${table} JOIN images ON images.row = image WHERE checksum IS NOT NULL`,
    )
    .iterate() as IterableIterator<{ id: string; bytes: Uint8Array; checksum: number }>;
  for (const { id, bytes, checksum } of rows) {
    if (blobChecksum(bytes) !== checksum) throw new Error(`the ${column} of image "${id}" is damaged`);
  }
}

function namedContents(db: Database.Database): NamedContent[] {
  return db
    .prepare(
      `SELECT content_hash AS hash, min(id) AS id FROM images
       WHERE has_original = 1 AND NOT EXISTS (SELECT 1 FROM contents WHERE image = images.row)
       GROUP BY content_hash ORDER BY content_hash`,
    )
    .all() as NamedContent[];
}

function checkContents(db: Database.Database): void {
  const rows = db
    .prepare('SELECT id, content, content_hash AS hash FROM contents JOIN images ON images.row = image')
    .iterate() as IterableIterator<{ id: string; content: Uint8Array; hash: string }>;
  for (const { id, content, hash } of rows) {
    if (createHash('sha256').update(content).digest('hex') !== hash)
      throw new Error(`the content of image "${id}" is damaged`);
  }
}
