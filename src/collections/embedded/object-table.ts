import type { Database, Statement } from 'better-sqlite3';
import type { ImageObject, NewObjects } from '../image-objects.js';
import { blobChecksum } from './blob-checksum.js';
import type { LabelledVector } from './sqlite-catalog.js';

/** The label of an image's n-th object: they follow that of the version of the image, which no other has. */
export function objectLabel(imageLabel: number, number: number): number {
  return imageLabel + 1 + number;
}

/** A vector of an object, `id` being its image's. */
export interface StoredObjectVector extends LabelledVector {
  readonly imageLabel: number;
  /** Among its image's objects, from 0. */
  readonly number: number;
}

interface ObjectRow {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly score: number;
}

/** The objects of images on disk. Writes are part of their image's transaction; deleted images take theirs with them. */
export class ObjectTable {
  private readonly statements = new Map<string, Statement>();

  constructor(private readonly db: Database) {}

  /** @param image its row; @param objects with vectors of unit length; undefined: it has none any more */
  replace(image: number, objects: NewObjects | undefined): void {
    this.prepare('DELETE FROM objects WHERE image = ?').run(image);
    const insert = this.prepare(
      `INSERT INTO objects (image, number, x, y, width, height, score, vector, checksum)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    objects?.found.forEach(({ bbox, score, vector }, number) => {
      const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
      insert.run(image, number, ...bbox, score, bytes, blobChecksum(bytes));
    });
  }

  /** In order of their numbers. */
  of(image: number): ImageObject[] {
    const rows = this.prepare(
      'SELECT x, y, width, height, score FROM objects WHERE image = ? ORDER BY number',
    ).all(image) as ObjectRow[];
    return rows.map(({ x, y, width, height, score }) => ({ bbox: [x, y, width, height], score }));
  }

  /** The box of an object that is there. */
  bbox(collection: number, imageLabel: number, number: number): ImageObject['bbox'] {
    const { x, y, width, height } = this.prepare(
      `SELECT x, y, objects.width, objects.height FROM images JOIN objects ON objects.image = images.row
       WHERE collection = ? AND label = ? AND number = ?`,
    ).get(collection, imageLabel, number) as ObjectRow;
    return [x, y, width, height];
  }

  /** Every object's vector. Nothing may be written before the iteration has ended. */
  *vectors(collection: number): IterableIterator<StoredObjectVector> {
    const rows = this.prepare(
      `SELECT id, label AS imageLabel, number, vector, checksum FROM images JOIN objects ON objects.image = images.row
       WHERE collection = ? ORDER BY label, number`,
    ).iterate(collection) as IterableIterator<Omit<StoredObjectVector, 'label'>>;
    for (const row of rows) yield { ...row, label: objectLabel(row.imageLabel, row.number) };
  }

  private prepare(sql: string): Statement {
    let statement = this.statements.get(sql);
    if (statement === undefined) this.statements.set(sql, (statement = this.db.prepare(sql)));
    return statement;
  }
}
