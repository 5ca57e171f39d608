/** The archive's last entry, which says what must be in it; and, with the archive's own hash, the file beside it. */
export const MANIFEST = 'manifest.json';
export const DATABASE = 'dino.sqlite';
export const GRAPHS = 'graphs';
/** 2: with the originals that are files. */
export const FORMAT_VERSION = 2;
export const READABLE_VERSIONS: readonly unknown[] = [1, FORMAT_VERSION];

export interface SnapshotCollection {
  readonly name: string;
  readonly model: string;
  /** Vector length in elements. */
  readonly dimension: number;
  /** Images. */
  readonly count: number;
}

export interface SnapshotFile {
  /** Path in the archive, with `/`. */
  readonly name: string;
  readonly bytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** What is in a snapshot. */
export interface SnapshotManifest {
  readonly formatVersion: number;
  readonly id: string;
  /** ISO 8601, UTC: when it was begun. It holds at least all that was stored until then. */
  readonly createdAt: string;
  /** Version of the database's schema. */
  readonly schemaVersion: number;
  readonly collections: readonly SnapshotCollection[];
  /** Database and graphs. */
  readonly files: readonly SnapshotFile[];
  /** The originals that are files, each named by its SHA-256. Not in snapshots of format 1. */
  readonly contents?: { readonly count: number; readonly bytes: number };
}

/** A snapshot on disk. */
export interface Snapshot extends SnapshotManifest {
  /** Size of the archive. */
  readonly bytes: number;
  /** SHA-256 of the archive, lower-case hex. */
  readonly sha256: string;
}
