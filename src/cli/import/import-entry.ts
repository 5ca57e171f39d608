import type { Metadata } from '../../client/resources.js';

/** Images above this size are not read: no server takes larger ones. */
export const MAX_IMAGE_BYTES = 2 ** 30;

interface Found {
  /** Where it is, for people. */
  readonly source: string;
  /** Its part of the bytes of all sources, for the progress. */
  readonly weight: number;
}

/** Something that was found in a folder, shard or table. */
export type ImportEntry = FoundImage | FoundVector | UnreadableImage | OtherFile;

/** What can be stored. */
export type FoundItem = FoundImage | FoundVector;

export interface FoundImage extends Found {
  readonly kind: 'image';
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly metadata: Metadata;
  /** Fields of its metadata that a collection can't hold. */
  readonly leftOut?: readonly string[];
}

/** A vector that was made elsewhere, without its image. */
export interface FoundVector extends Found {
  readonly kind: 'vector';
  readonly id: string;
  readonly vector: Float32Array;
  readonly metadata: Metadata;
  readonly leftOut?: readonly string[];
}

export interface UnreadableImage extends Found {
  readonly kind: 'unreadable';
  readonly reason: string;
}

/** What is neither an image nor describes one. */
export interface OtherFile extends Found {
  readonly kind: 'other';
  /** Extension of its name, without the dot. */
  readonly extension: string;
}
