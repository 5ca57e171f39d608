import type { Filter, Metadata, MetadataValue } from './filter.js';

/** Settings that a collection is created with; they never change afterwards. */
export interface CollectionSettings {
  /** Name of the model whose vectors the collection holds. */
  readonly model: string;
  /** SHA-256 of the model's file: vectors of two models never mix. */
  readonly modelFingerprint: string;
  /** Vector length in elements. */
  readonly dimension: number;
  /** HNSW: links per node, 2..64. */
  readonly m: number;
  /** HNSW: candidates kept while building, 8..800. */
  readonly efConstruction: number;
  /** HNSW: candidates kept while searching unless a query says otherwise, 1..4096. */
  readonly ef: number;
}

export interface Collection extends CollectionSettings {
  readonly name: string;
  /** Images stored now. */
  readonly count: number;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
}

/** Everything about an image except its bytes and its vector. */
export interface StoredImage {
  readonly id: string;
  readonly metadata: Metadata;
  /** Lower-case hex SHA-256 of the original bytes. */
  readonly contentHash: string;
  /** Media type of the original bytes, e.g. `image/jpeg`. */
  readonly mediaType: string;
  /** Pixels, after EXIF orientation. */
  readonly width: number;
  readonly height: number;
  /** Size of the original in bytes. */
  readonly bytes: number;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface NewImage {
  readonly id: string;
  readonly metadata: Metadata;
  readonly contentHash: string;
  readonly mediaType: string;
  readonly width: number;
  readonly height: number;
  /** The original bytes. */
  readonly content: Uint8Array;
  /** A small WebP. */
  readonly thumbnail: Uint8Array;
  /** Any length but zero: the store normalises to unit length. `dimension` finite elements. */
  readonly vector: Float32Array;
}

/** Fields to set, null to remove. */
export type MetadataPatch = Readonly<Record<string, MetadataValue | null>>;

export type PutOutcome = 'created' | 'replaced' | 'unchanged';

export interface Picture {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  /** Lower-case hex SHA-256 of the original image: the ETag's value. */
  readonly contentHash: string;
}

export interface ListQuery {
  /** 1..1000 */
  readonly limit: number;
  /** `nextCursor` of the page before. */
  readonly cursor?: string;
  readonly filter?: Filter;
}

export interface ImagePage {
  readonly images: StoredImage[];
  /** Null at the end. Images are in ascending order of id (by Unicode code point). */
  readonly nextCursor: string | null;
}

export interface SearchQuery {
  /** `dimension` finite elements, not all zero. */
  readonly vector: Float32Array;
  /** Neighbours wanted, 1..1000. */
  readonly k: number;
  /** HNSW candidates; default the collection's. */
  readonly ef?: number;
  /**
   * true: scan every vector; false: use the graph, as far as it is built (what it lacks is scanned
   * beside it); undefined: the store decides.
   */
  readonly exact?: boolean;
  readonly filter?: Filter;
  /** Cosine below which nothing is returned, -1..1. */
  readonly minScore?: number;
  /** Ids never returned, e.g. the query's own; unknown ones are ignored. At most 10,000. */
  readonly excludeIds?: readonly string[];
}

export interface SearchHit {
  readonly id: string;
  /** Cosine similarity, -1..1; bigger is closer. */
  readonly score: number;
  readonly metadata: Metadata;
}

/**
 * Where images, their vectors and their metadata live.
 *
 * Promises, kept by every implementation and checked by `test/contracts/collection-store.ts`:
 * - a resolved write is on disk and survives SIGKILL; a rejected one changed nothing;
 * - the vectors and metadata are the truth, an index is derived from them and can be rebuilt;
 * - search returns k hits whenever k images match;
 * - failures are `DinoError`s: `not-found`, `conflict`, `invalid-request`.
 */
export interface CollectionStore {
  /** Creates the collection, or returns the one that is there. @throws conflict when it is there with other settings */
  createCollection(
    name: string,
    settings: CollectionSettings,
  ): Promise<{ collection: Collection; created: boolean }>;
  /** @throws not-found */
  getCollection(name: string): Promise<Collection>;
  /** In ascending order of name. */
  listCollections(): Promise<Collection[]>;
  /** Deletes the collection with all its images. @throws not-found */
  deleteCollection(name: string): Promise<void>;

  /**
   * Stores images, all or none, in one transaction; an id that is there is replaced.
   * `unchanged`: same content and same metadata were there already.
   */
  putImages(collection: string, images: readonly NewImage[]): Promise<PutOutcome[]>;
  /** @throws not-found */
  getImage(collection: string, id: string): Promise<StoredImage>;
  /** The ones of `ids` that are there, in no order. For upserts that can skip what did not change. */
  findImages(collection: string, ids: readonly string[]): Promise<StoredImage[]>;
  /** The original bytes. @throws not-found */
  getContent(collection: string, id: string): Promise<Picture>;
  /** @throws not-found */
  getThumbnail(collection: string, id: string): Promise<Picture>;
  /** Unit vectors, one per id in the same order. @throws not-found for the first id that is not there */
  getVectors(collection: string, ids: readonly string[]): Promise<Float32Array[]>;
  listImages(collection: string, query: ListQuery): Promise<ImagePage>;
  /** Sets fields, and removes those given as null; other fields, vector and content stay. @throws not-found */
  patchMetadata(collection: string, id: string, patch: MetadataPatch): Promise<StoredImage>;
  /** @throws not-found */
  deleteImage(collection: string, id: string): Promise<void>;

  /** Nearest first; equal scores in ascending order of id. */
  search(collection: string, query: SearchQuery): Promise<SearchHit[]>;

  /** Saves derived data and closes the files. Nothing may be called afterwards. */
  close(): Promise<void>;
}
