import type { Database, Statement } from 'better-sqlite3';
import { DinoError } from '../../errors.js';
import type {
  AlterableSettings,
  CollectionSettings,
  Picture,
  PutOptions,
  PutOutcome,
  StoredImage,
} from '../collection-store.js';
import type { Filter } from '../filter.js';
import { applyPatch, canonicalMetadata } from '../validate-image.js';
import type { EncodedPatch, ImageRecord } from '../validate-image.js';
import { AliasTable } from './alias-table.js';
import { FieldTable } from './field-table.js';
import { blobChecksum } from './blob-checksum.js';
import { ContentTable } from './contents/content-table.js';
import type { StoredContent } from './contents/read-content.js';
import { compileFilter } from './filter-sql.js';
import { isSameSetting, type ObjectSetting } from '../image-objects.js';
import { ObjectTable } from './object-table.js';
import { OnlineBackup } from './online-backup.js';
import { ReembeddingTable, VECTOR_TABLES } from './reembedding-table.js';
import { openDatabase } from './sqlite-open.js';

/** Labels are what a graph addresses its elements by, and those are uint32. */
export const LABEL_LIMIT = 2 ** 32;

export interface CollectionRow extends CollectionSettings {
  readonly row: number;
  /** Random, never used twice: names the collection's derived files. */
  readonly key: string;
  readonly name: string;
  readonly createdAt: string;
  /** Which of `VECTOR_TABLES` its vectors are in. */
  readonly side: 0 | 1;
}

/** What `putImages` did with one image. Labels are there unless it was unchanged. */
export interface PutChange {
  readonly outcome: PutOutcome;
  /** The label of the version stored now. */
  readonly label?: number;
  /** The label of the version it replaced. */
  readonly replacedLabel?: number;
  /** The original of that version, where it had one. */
  readonly replacedContent?: string;
}

export interface LabelledVector {
  readonly id: string;
  readonly label: number;
  /** float32, little-endian. */
  readonly vector: Uint8Array;
  /** Its `blobChecksum` when it was stored; null where that was before there were any. */
  readonly checksum: number | null;
}

export interface StoredPicture extends Picture {
  /** As for a vector. */
  readonly checksum: number | null;
}

interface ImageRow {
  row: number;
  id: string;
  metadata: string;
  content_hash: string;
  media_type: string;
  width: number;
  height: number;
  bytes: number;
  has_original: number;
  has_thumbnail: number;
  object_method: ObjectSetting['method'] | null;
  object_max: number | null;
  created_at: string;
  updated_at: string;
}

const IMAGE_COLUMNS =
  'id, metadata, content_hash, media_type, width, height, bytes, has_original, has_thumbnail, object_method, object_max, created_at, updated_at';

/**
 * The truth on disk: collections, images, vectors and pictures in one SQLite file. Synchronous; every
 * method that writes is one transaction, on disk when it returns.
 */
export class SqliteCatalog {
  readonly aliases: AliasTable;
  readonly reembeddings: ReembeddingTable;
  readonly objects: ObjectTable;
  readonly contents: ContentTable;
  private readonly statements = new Map<string, Statement>();

  /** Questions to the metadata. */
  readonly fields: FieldTable;

  /** @param isFile whether an original is a file, and not in here */
  private constructor(
    private readonly db: Database,
    private readonly isFile: (content: Uint8Array) => boolean,
  ) {
    this.fields = new FieldTable(db);
    this.aliases = new AliasTable(db);
    this.reembeddings = new ReembeddingTable(db);
    this.objects = new ObjectTable(db);
    this.contents = new ContentTable(db);
  }

  /** @throws conflict when another process has the file, or when its schema is newer than this code's */
  static open(path: string, isFile: (content: Uint8Array) => boolean): SqliteCatalog {
    return new SqliteCatalog(openDatabase(path), isFile);
  }

  close(): void {
    this.db.close();
  }

  listCollections(): CollectionRow[] {
    const rows = this.prepare(
      `SELECT row, key, name, model, model_fingerprint AS modelFingerprint, dimension, m, ef_construction AS efConstruction,
         ef, content, thumbnails, side, created_at AS createdAt FROM collections ORDER BY name`,
    ).all() as (Omit<CollectionRow, 'thumbnails'> & { thumbnails: number })[];
    return rows.map((row) => ({ ...row, thumbnails: row.thumbnails === 1 }));
  }

  /** The label that the next stored version will have; every label so far is smaller. */
  nextLabel(collection: number): number {
    return this.prepare('SELECT next_label FROM collections WHERE row = ?').pluck().get(collection) as number;
  }

  insertCollection(collection: Omit<CollectionRow, 'row' | 'side'>): CollectionRow {
    const { lastInsertRowid } = this.prepare(
      `INSERT INTO collections (key, name, model, model_fingerprint, dimension, m, ef_construction, ef, content, thumbnails, created_at)
       VALUES (@key, @name, @model, @modelFingerprint, @dimension, @m, @efConstruction, @ef, @content, @thumbnails, @createdAt)`,
    ).run({ ...collection, thumbnails: Number(collection.thumbnails) });
    return { row: Number(lastInsertRowid), side: 0, ...collection };
  }

  alterCollection(collection: number, { ef, content, thumbnails }: AlterableSettings): void {
    this.write(() =>
      this.prepare('UPDATE collections SET ef = ?, content = ?, thumbnails = ? WHERE row = ?').run(
        ef,
        content,
        Number(thumbnails),
        collection,
      ),
    );
  }

  deleteCollection(collection: number): void {
    this.prepare('DELETE FROM collections WHERE row = ?').run(collection);
  }

  /**
   * @param images with vectors of unit length and no id twice
   * @param options.now ISO 8601, UTC
   * @returns one change per image, in order
   * @throws conflict when the collection's labels are used up
   */
  putImages(
    collection: CollectionRow,
    images: readonly ImageRecord[],
    options: PutOptions & { readonly now: string },
  ): PutChange[] {
    return this.write(() => {
      let label = this.nextLabel(collection.row);
      const changes = images.map((image) => {
        const change = this.putImage(collection, image, label, options);
        if (change.label !== undefined) label += 1 + (image.objects?.found.length ?? 0);
        return change;
      });
      if (label > LABEL_LIMIT) {
        throw new DinoError(
          'conflict',
          'The collection has stored 4294967296 versions of images over its life and can number no more. Copy its images into a new collection.',
        );
      }
      this.prepare('UPDATE collections SET next_label = ? WHERE row = ?').run(label, collection.row);
      return changes;
    });
  }

  private putImage(
    collection: CollectionRow,
    image: ImageRecord,
    label: number,
    { now, onDuplicate }: PutOptions & { readonly now: string },
  ): PutChange {
    const before = this.prepare(
      `SELECT row, label, ${IMAGE_COLUMNS} FROM images WHERE collection = ? AND id = ?`,
    ).get(collection.row, image.id) as (ImageRow & { label: number }) | undefined;
    if (
      before === undefined &&
      onDuplicate === 'skip' &&
      this.contents.findOwner(collection.row, image.contentHash) !== undefined
    ) {
      return { outcome: 'duplicate' };
    }
    const original = collection.content === 'original' ? image.content : undefined;
    const thumbnail = collection.thumbnails ? image.thumbnail : undefined;
    if (
      before?.content_hash === image.contentHash &&
      (before.has_original === 1 || original === undefined) &&
      (before.has_thumbnail === 1 || thumbnail === undefined) &&
      isSameSetting(settingOf(before), image.objects) &&
      canonicalMetadata(before.metadata) === canonicalMetadata(image.metadata)
    ) {
      return { outcome: 'unchanged' };
    }
    const row = this.prepare(
      `INSERT INTO images (collection, label, ${IMAGE_COLUMNS})
       VALUES (@collection, @label, @id, @metadata, @contentHash, @mediaType, @width, @height, @bytes, @hasOriginal, @hasThumbnail, @objectMethod, @objectMax, @now, @now)
       ON CONFLICT (collection, id) DO UPDATE SET label = excluded.label, metadata = excluded.metadata,
         content_hash = excluded.content_hash, media_type = excluded.media_type, width = excluded.width,
         height = excluded.height, bytes = excluded.bytes, has_original = excluded.has_original,
         has_thumbnail = excluded.has_thumbnail, object_method = excluded.object_method,
         object_max = excluded.object_max, updated_at = max(updated_at, excluded.updated_at)
       RETURNING row`,
    )
      .pluck()
      .get({
        collection: collection.row,
        label,
        id: image.id,
        metadata: image.metadata,
        contentHash: image.contentHash,
        mediaType: image.mediaType,
        width: image.width,
        height: image.height,
        bytes: image.content?.byteLength ?? 0,
        hasOriginal: Number(original !== undefined),
        hasThumbnail: Number(thumbnail !== undefined),
        objectMethod: image.objects?.method ?? null,
        objectMax: image.objects?.max ?? null,
        now,
      }) as number;
    const { buffer, byteOffset, byteLength } = image.vector;
    this.putBlob(
      VECTOR_TABLES[collection.side],
      'vector',
      row,
      new Uint8Array(buffer, byteOffset, byteLength),
    );
    this.contents.put(row, original !== undefined && this.isFile(original) ? undefined : original);
    this.putBlob('thumbnails', 'thumbnail', row, thumbnail);
    this.objects.replace(row, image.objects);
    // What the next model made of the version before.
    if (before !== undefined) this.putBlob(VECTOR_TABLES[1 - collection.side]!, 'vector', row, undefined);
    if (before === undefined) return { outcome: 'created', label };
    const replacedContent = before.has_original === 1 ? before.content_hash : undefined;
    return { outcome: 'replaced', label, replacedLabel: before.label, replacedContent };
  }

  private putBlob(table: string, column: string, image: number, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) {
      this.prepare(`DELETE FROM ${table} WHERE image = ?`).run(image);
      return;
    }
    this.prepare(
      `INSERT INTO ${table} (image, ${column}, checksum) VALUES (?, ?, ?)
       ON CONFLICT (image) DO UPDATE SET ${column} = excluded.${column}, checksum = excluded.checksum`,
    ).run(image, bytes, blobChecksum(bytes));
  }

  findImage(collection: number, id: string): StoredImage | undefined {
    const row = this.prepare(`SELECT row, ${IMAGE_COLUMNS} FROM images WHERE collection = ? AND id = ?`).get(
      collection,
      id,
    );
    return row === undefined ? undefined : this.toStoredImage(row as ImageRow);
  }

  findLabel(collection: number, id: string): number | undefined {
    return this.prepare('SELECT label FROM images WHERE collection = ? AND id = ?')
      .pluck()
      .get(collection, id) as number | undefined;
  }

  findContent(collection: number, id: string): StoredContent | undefined {
    return this.prepare(
      `SELECT content AS bytes, media_type AS mediaType, content_hash AS contentHash
       FROM images LEFT JOIN contents ON contents.image = images.row
       WHERE collection = ? AND id = ? AND has_original = 1`,
    ).get(collection, id) as StoredContent | undefined;
  }

  findThumbnail(collection: number, id: string): StoredPicture | undefined {
    return this.prepare(
      `SELECT thumbnail AS bytes, 'image/webp' AS mediaType, content_hash AS contentHash, checksum
       FROM images JOIN thumbnails ON thumbnails.image = images.row WHERE collection = ? AND id = ?`,
    ).get(collection, id) as StoredPicture | undefined;
  }

  /** Metadata, as JSON text, of the versions with these labels in their order; all of them must be stored. */
  metadataOf(collection: number, labels: readonly number[]): string[] {
    return this.prepare(
      `SELECT metadata FROM json_each(?) AS wanted CROSS JOIN images ON collection = ? AND label = wanted.value
       ORDER BY wanted.key`,
    )
      .pluck()
      .all(JSON.stringify(labels), collection) as string[];
  }

  /** At most `limit` images after the id `after`, in ascending order of id. */
  listImages(collection: number, after: string, limit: number, filter: Filter | undefined): StoredImage[] {
    const condition = compileCondition(filter);
    const rows = this.db
      .prepare(
        `SELECT row, ${IMAGE_COLUMNS} FROM images WHERE collection = ? AND id > ? AND ${condition.sql} ORDER BY id LIMIT ?`,
      )
      .all(collection, after, ...condition.values, limit) as ImageRow[];
    return rows.map((row) => this.toStoredImage(row));
  }

  /** @throws invalid-request when the result would be beyond the limits of metadata */
  patchMetadata(collection: number, id: string, patch: EncodedPatch, now: string): StoredImage | undefined {
    return this.write(() => {
      const before = this.prepare('SELECT metadata FROM images WHERE collection = ? AND id = ?')
        .pluck()
        .get(collection, id) as string | undefined;
      if (before === undefined) return undefined;
      const row = this.prepare(
        `UPDATE images SET metadata = ?, updated_at = max(updated_at, ?) WHERE collection = ? AND id = ? RETURNING row, ${IMAGE_COLUMNS}`,
      ).get(applyPatch(before, patch), now, collection, id);
      return this.toStoredImage(row as ImageRow);
    });
  }

  /** @returns label and content's SHA-256 of the version that was deleted, or undefined when there was none */
  deleteImage(collection: number, id: string): { label: number; contentHash: string } | undefined {
    const remove = this.prepare(
      'DELETE FROM images WHERE collection = ? AND id = ? RETURNING label, content_hash AS contentHash',
    );
    return this.write(() => remove.get(collection, id)) as { label: number; contentHash: string } | undefined;
  }

  /** Every stored vector of a collection, by ascending label. Nothing may be written before the iteration has ended. */
  vectors({ row, side }: Pick<CollectionRow, 'row' | 'side'>): IterableIterator<LabelledVector> {
    return this.prepare(
      `SELECT id, label, vector, checksum FROM images JOIN ${VECTOR_TABLES[side]} AS held ON held.image = images.row
       WHERE collection = ? ORDER BY label`,
    ).iterate(row) as IterableIterator<LabelledVector>;
  }

  /** Begins a copy in slices. @param path a file that is not there yet */
  backUp(path: string): OnlineBackup {
    return new OnlineBackup(this.db, path);
  }

  get inTransaction(): boolean {
    return this.db.inTransaction;
  }

  /**
   * One transaction, or a savepoint of the one that is open. Explicit even for one statement: a commit that fails while
   * `get` puts its statement back would go unnoticed.
   */
  write<T>(work: () => T): T {
    return this.db.transaction(work).immediate();
  }

  private toStoredImage(row: ImageRow): StoredImage {
    const setting = settingOf(row);
    const image = describeRow(row);
    return setting === undefined
      ? image
      : { ...image, objects: { ...setting, found: this.objects.of(row.row) } };
  }

  private prepare(sql: string): Statement {
    let statement = this.statements.get(sql);
    if (statement === undefined) this.statements.set(sql, (statement = this.db.prepare(sql)));
    return statement;
  }
}

function compileCondition(filter: Filter | undefined): { sql: string; values: readonly (string | number)[] } {
  return filter === undefined ? { sql: 'TRUE', values: [] } : compileFilter(filter);
}

function settingOf({ object_method: method, object_max: max }: ImageRow): ObjectSetting | undefined {
  return method === null ? undefined : { method, max: max! };
}

function describeRow(row: ImageRow): StoredImage {
  return {
    id: row.id,
    metadata: JSON.parse(row.metadata) as StoredImage['metadata'],
    contentHash: row.content_hash,
    mediaType: row.media_type,
    width: row.width,
    height: row.height,
    bytes: row.bytes,
    hasOriginal: row.has_original === 1,
    hasThumbnail: row.has_thumbnail === 1,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
