import { FIELDS_MIGRATION } from './fields-schema.js';

/**
 * Migrations of the database, in order: the n-th brings `user_version` from n-1 to n. One that has
 * been released is never edited.
 *
 * Every stored version of an image has its own `label`, taken from its collection's `next_label`,
 * which never goes back. So labels in a graph that are not in `images` are deleted ones, labels in
 * `images` that are not in a graph are missing ones, and no third case exists.
 *
 * Vectors, contents and thumbnails are tables of their own: scans by filter and pages of a list read
 * `images` only.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE collections (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    model TEXT NOT NULL,
    model_fingerprint TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    m INTEGER NOT NULL,
    ef_construction INTEGER NOT NULL,
    ef INTEGER NOT NULL,
    next_label INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL
  ) STRICT;

  CREATE TABLE images (
    row INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collections (row) ON DELETE CASCADE,
    id TEXT NOT NULL,
    label INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    media_type TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (collection, id),
    UNIQUE (collection, label)
  ) STRICT;

  -- float32, little-endian, unit length
  CREATE TABLE vectors (
    image INTEGER PRIMARY KEY REFERENCES images (row) ON DELETE CASCADE,
    vector BLOB NOT NULL
  ) STRICT;

  CREATE TABLE contents (
    image INTEGER PRIMARY KEY REFERENCES images (row) ON DELETE CASCADE,
    content BLOB NOT NULL
  ) STRICT;

  CREATE TABLE thumbnails (
    image INTEGER PRIMARY KEY REFERENCES images (row) ON DELETE CASCADE,
    thumbnail BLOB NOT NULL
  ) STRICT;
  `,
  FIELDS_MIGRATION,
  // What `blobChecksum` gives; null in rows of before.
  `
  ALTER TABLE vectors ADD COLUMN checksum INTEGER;
  ALTER TABLE thumbnails ADD COLUMN checksum INTEGER;
  `,
  `
  -- what is kept of the images stored from now on
  ALTER TABLE collections ADD COLUMN content TEXT NOT NULL DEFAULT 'original';
  ALTER TABLE collections ADD COLUMN thumbnails INTEGER NOT NULL DEFAULT 1;

  -- which of the two tables of vectors holds the collection's; the other one is for those of the next model
  ALTER TABLE collections ADD COLUMN side INTEGER NOT NULL DEFAULT 0;
  -- 1: the other table may hold vectors of this collection that nobody needs
  ALTER TABLE collections ADD COLUMN leftovers INTEGER NOT NULL DEFAULT 0;

  ALTER TABLE images ADD COLUMN has_original INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE images ADD COLUMN has_thumbnail INTEGER NOT NULL DEFAULT 1;
  CREATE INDEX images_without_original ON images (collection) WHERE has_original = 0;

  CREATE TABLE other_vectors (
    image INTEGER PRIMARY KEY REFERENCES images (row) ON DELETE CASCADE,
    vector BLOB NOT NULL,
    checksum INTEGER
  ) STRICT;

  -- collections whose other table is being filled with the vectors of another model
  CREATE TABLE reembeddings (
    collection INTEGER PRIMARY KEY REFERENCES collections (row) ON DELETE CASCADE,
    key TEXT NOT NULL UNIQUE,
    model TEXT NOT NULL,
    model_fingerprint TEXT NOT NULL,
    dimension INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE aliases (
    name TEXT PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collections (row)
  ) STRICT;
  `,
  `
  -- how the objects of an image were looked for; null where they were not
  ALTER TABLE images ADD COLUMN object_method TEXT;
  ALTER TABLE images ADD COLUMN object_max INTEGER;

  -- what an image shows; an object's label is its image's + 1 + number, and the next image's comes after the last
  CREATE TABLE objects (
    image INTEGER NOT NULL REFERENCES images (row) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    -- the box in px of the image
    x REAL NOT NULL,
    y REAL NOT NULL,
    width REAL NOT NULL,
    height REAL NOT NULL,
    score REAL NOT NULL,
    -- as in vectors
    vector BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (image, number)
  ) STRICT;
  `,
  `
  -- whether anything names a content that is a file, and which images are the same
  CREATE INDEX images_by_content ON images (content_hash);

  -- originals that were stored in the database and belong in files; taken from here one by one
  CREATE TABLE content_moves (image INTEGER PRIMARY KEY REFERENCES images (row) ON DELETE CASCADE) STRICT;
  INSERT INTO content_moves SELECT row FROM images WHERE has_original = 1 AND bytes >= 65536;
  `,
];
