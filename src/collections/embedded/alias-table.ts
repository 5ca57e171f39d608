import type { Database } from 'better-sqlite3';
import type { Alias } from '../collection-store.js';

/** Second names of collections, on disk. */
export class AliasTable {
  constructor(private readonly db: Database) {}

  /** In ascending order of name. */
  list(): Alias[] {
    return this.db
      .prepare(
        `SELECT aliases.name AS name, collections.name AS collection
         FROM aliases JOIN collections ON collections.row = aliases.collection ORDER BY aliases.name`,
      )
      .all() as Alias[];
  }

  /** @param collection row of the collection */
  put(name: string, collection: number): void {
    const statement = this.db.prepare(
      `INSERT INTO aliases (name, collection) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET collection = excluded.collection`,
    );
    this.db.transaction(() => statement.run(name, collection)).immediate();
  }

  delete(name: string): void {
    const statement = this.db.prepare('DELETE FROM aliases WHERE name = ?');
    this.db.transaction(() => statement.run(name)).immediate();
  }
}
