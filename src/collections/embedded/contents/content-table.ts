import type { Database, Statement } from 'better-sqlite3';

/** An original in the database that belongs in a file. */
export interface MovedContent {
  readonly image: number;
  readonly hash: string;
  /** Null where the image has been replaced since. */
  readonly content: Uint8Array | null;
}

/** Small originals by their image, and which large ones are named by any image. */
export class ContentTable {
  private readonly statements = new Map<string, Statement>();

  constructor(private readonly db: Database) {}

  /** Part of the transaction that stores the image. Without a checksum: `content_hash` is one. */
  put(image: number, content: Uint8Array | undefined): void {
    if (content === undefined) {
      this.prepare('DELETE FROM contents WHERE image = ?').run(image);
      return;
    }
    this.prepare(
      `INSERT INTO contents (image, content) VALUES (?, ?)
       ON CONFLICT (image) DO UPDATE SET content = excluded.content`,
    ).run(image, content);
  }

  /** Whether an image has an original with this SHA-256. */
  isNamed(hash: string): boolean {
    const sql = 'SELECT EXISTS (SELECT 1 FROM images WHERE content_hash = ? AND has_original = 1)';
    return this.prepare(sql).pluck().get(hash) === 1;
  }

  /** The first id in order of a collection's images with this content. */
  findOwner(collection: number, hash: string): string | undefined {
    // The + keeps SQLite from going through the collection instead.
    const sql = 'SELECT min(id) FROM images WHERE content_hash = ? AND +collection = ?';
    return (this.prepare(sql).pluck().get(hash, collection) as string | null) ?? undefined;
  }

  hasToMove(): boolean {
    return this.prepare('SELECT EXISTS (SELECT 1 FROM content_moves)').pluck().get() === 1;
  }

  /** One of those that were stored in the database although they are large. */
  nextToMove(): MovedContent | undefined {
    return this.prepare(
      `SELECT content_moves.image AS image, content_hash AS hash, content FROM content_moves
       JOIN images ON images.row = content_moves.image LEFT JOIN contents ON contents.image = images.row LIMIT 1`,
    ).get() as MovedContent | undefined;
  }

  /** @param isInFile whether its bytes are in a file now, so that those in the database go */
  moved(image: number, isInFile: boolean): void {
    this.db
      .transaction(() => {
        if (isInFile) this.put(image, undefined);
        this.prepare('DELETE FROM content_moves WHERE image = ?').run(image);
      })
      .immediate();
  }

  private prepare(sql: string): Statement {
    let statement = this.statements.get(sql);
    if (statement === undefined) this.statements.set(sql, (statement = this.db.prepare(sql)));
    return statement;
  }
}
