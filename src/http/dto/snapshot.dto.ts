/** A collection in a snapshot. */
export interface SnapshotCollectionResource {
  name: string;
  /** Name of the model whose vectors it holds. */
  model: string;
  /**
   * Vector length in elements.
   * @isInt
   */
  dimension: number;
  /**
   * Images.
   * @isInt
   * @minimum 0
   */
  count: number;
}

/** All collections as they were at one moment. */
export interface SnapshotResource {
  id: string;
  /** ISO 8601, UTC: when it was begun. It holds at least what had been acknowledged by then. */
  createdAt: string;
  /**
   * Size of its file in bytes.
   * @isInt
   */
  bytes: number;
  /** SHA-256 of its file, 64 lower-case hex digits. */
  sha256: string;
  collections: SnapshotCollectionResource[];
}

export interface SnapshotListResponse {
  /** The latest first. */
  snapshots: SnapshotResource[];
}

/** What reading a snapshot from end to end has found. */
export interface SnapshotVerification {
  id: string;
  /** Whether every byte is as it was written. */
  whole: boolean;
  /** What is wrong; null when it is whole. */
  problem: string | null;
}
