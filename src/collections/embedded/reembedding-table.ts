import type { Database, Statement } from 'better-sqlite3';
import type { ModelIdentity, PendingImage } from '../collection-store.js';
import { blobChecksum } from './blob-checksum.js';
import type { CollectionRow } from './sqlite-catalog.js';

/** The two tables of vectors: a collection's are in one, those of its next model in the other. */
export const VECTOR_TABLES = ['vectors', 'other_vectors'] as const;

/** The table that a collection's vectors are not in. */
function otherTable({ side }: CollectionRow): string {
  return VECTOR_TABLES[1 - side]!;
}

/** Images whose leftovers are removed in one step. */
const SWEPT_AT_ONCE = 500;

/** Vectors of the next model on disk, beside those of now. Every method that writes is one transaction. */
export class ReembeddingTable {
  constructor(private readonly db: Database) {}

  /**
   * Begins, or goes on where the row of an earlier run is of the same model.
   *
   * @returns key of the files derived from the next vectors
   */
  begin(collection: CollectionRow, next: ModelIdentity, newKey: string): string {
    return this.write(() => {
      const before = this.prepare(
        `SELECT key, model_fingerprint AS modelFingerprint, dimension FROM reembeddings WHERE collection = ?`,
      ).get(collection.row) as { key: string; modelFingerprint: string; dimension: number } | undefined;
      if (before?.modelFingerprint === next.modelFingerprint && before.dimension === next.dimension) {
        return before.key;
      }
      this.clearOtherTable(collection);
      this.prepare(
        `INSERT OR REPLACE INTO reembeddings (collection, key, model, model_fingerprint, dimension) VALUES (?, ?, ?, ?, ?)`,
      ).run(collection.row, newKey, next.model, next.modelFingerprint, next.dimension);
      return newKey;
    });
  }

  private clearOtherTable(collection: CollectionRow): void {
    this.prepare(
      `DELETE FROM ${otherTable(collection)} WHERE image IN (SELECT row FROM images WHERE collection = ?)`,
    ).run(collection.row);
    this.prepare('UPDATE collections SET leftovers = 0 WHERE row = ?').run(collection.row);
  }

  /** Images that have an original and no next vector, by ascending version. */
  listPending(collection: CollectionRow, after: number, limit: number): PendingImage[] {
    return this.prepare(
      `SELECT id, label AS version FROM images WHERE collection = ? AND label > ? AND has_original = 1
       AND NOT EXISTS (SELECT 1 FROM ${otherTable(collection)} WHERE image = images.row) ORDER BY label LIMIT ?`,
    ).all(collection.row, after, limit) as PendingImage[];
  }

  /** @returns which of the vectors were taken: those of versions that are stored */
  put(
    collection: CollectionRow,
    vectors: readonly (PendingImage & { readonly vector: Float32Array })[],
  ): boolean[] {
    const find = this.prepare('SELECT row FROM images WHERE collection = ? AND id = ? AND label = ?').pluck();
    const insert = this.prepare(
      `INSERT OR REPLACE INTO ${otherTable(collection)} (image, vector, checksum) VALUES (?, ?, ?)`,
    );
    return this.write(() =>
      vectors.map(({ id, version, vector }) => {
        const row = find.get(collection.row, id, version);
        if (row === undefined) return false;
        const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
        insert.run(row, bytes, blobChecksum(bytes));
        return true;
      }),
    );
  }

  /** How many images have no original, and the ids of the first. */
  withoutOriginal(collection: CollectionRow, limit: number): { count: number; ids: string[] } {
    const condition = 'FROM images WHERE collection = ? AND has_original = 0';
    const count = this.prepare(`SELECT count(*) ${condition}`).pluck().get(collection.row) as number;
    const ids = this.prepare(`SELECT id ${condition} ORDER BY id LIMIT ?`).pluck().all(collection.row, limit);
    return { count, ids: ids as string[] };
  }

  /** Makes the next model the collection's; images without a next vector are deleted. @param next the collection as it will be */
  swap(collection: CollectionRow, next: CollectionRow): void {
    this.write(() => {
      this.prepare('DELETE FROM images WHERE collection = ? AND has_original = 0').run(collection.row);
      this.prepare(
        `UPDATE collections SET key = @key, model = @model, model_fingerprint = @modelFingerprint,
           dimension = @dimension, side = @side, leftovers = 1 WHERE row = @row`,
      ).run({
        key: next.key,
        model: next.model,
        modelFingerprint: next.modelFingerprint,
        dimension: next.dimension,
        side: next.side,
        row: next.row,
      });
      this.prepare('DELETE FROM reembeddings WHERE collection = ?').run(collection.row);
    });
  }

  /** Forgets what was begun; its vectors are left over. */
  cancel(collection: CollectionRow): void {
    this.write(() => {
      const { changes } = this.prepare('DELETE FROM reembeddings WHERE collection = ?').run(collection.row);
      if (changes > 0) this.prepare('UPDATE collections SET leftovers = 1 WHERE row = ?').run(collection.row);
    });
  }

  /** Rows of the collections that have vectors left over. */
  withLeftovers(): number[] {
    return this.prepare('SELECT row FROM collections WHERE leftovers = 1').pluck().all() as number[];
  }

  /**
   * Removes some of the vectors left over.
   *
   * @param after the version that the step before ended with, -1 at first
   * @returns the version that this step ended with; undefined when it was the last
   */
  sweep(collection: CollectionRow, after: number): number | undefined {
    return this.write(() => {
      const swept = this.prepare(
        'SELECT row, label FROM images WHERE collection = ? AND label > ? ORDER BY label LIMIT ?',
      ).all(collection.row, after, SWEPT_AT_ONCE) as { row: number; label: number }[];
      const remove = this.prepare(`DELETE FROM ${otherTable(collection)} WHERE image = ?`);
      for (const { row } of swept) remove.run(row);
      if (swept.length === SWEPT_AT_ONCE) return swept.at(-1)!.label;
      this.prepare('UPDATE collections SET leftovers = 0 WHERE row = ?').run(collection.row);
      return undefined;
    });
  }

  private write<T>(work: () => T): T {
    return this.db.transaction(work).immediate();
  }

  private prepare(sql: string): Statement {
    return this.db.prepare(sql);
  }
}
