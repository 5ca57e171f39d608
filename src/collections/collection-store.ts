import type { ImageObject, ImageObjects, NewObjects, SearchedVectors } from './image-objects.js';
import type { Filter, FilterScalar, Metadata, MetadataValue } from './filter.js';
import type { SearchHits } from './search-hits.js';

/** What is kept of an image beside its vector and metadata: the original bytes, at most a thumbnail, or nothing. */
export const CONTENT_CHOICES = ['original', 'thumbnail', 'none'] as const;
export type ContentChoice = (typeof CONTENT_CHOICES)[number];

/** What of a collection's settings may change while it is used. */
export interface AlterableSettings {
  /** HNSW: candidates kept while searching unless a query says otherwise, 1..4096. */
  readonly ef: number;
  /** What is kept of images stored from now on. */
  readonly content: ContentChoice;
  /** Whether a thumbnail is kept of them; true for content `thumbnail`, false for `none`. */
  readonly thumbnails: boolean;
}

/**
 * Settings that a collection is created with. The model changes by re-embedding, `AlterableSettings` by
 * `alterCollection`, the others never.
 */
export interface CollectionSettings extends AlterableSettings {
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
}

/** Settings as they are given: content is `original` unless it is said, thumbnails as the content has them. */
export type GivenSettings = Omit<CollectionSettings, 'content' | 'thumbnails'> &
  Partial<Pick<CollectionSettings, 'content' | 'thumbnails'>>;

/** A model as the store knows it. */
export type ModelIdentity = Pick<CollectionSettings, 'model' | 'modelFingerprint' | 'dimension'>;

export interface Collection extends CollectionSettings {
  readonly name: string;
  /** Images stored now. */
  readonly count: number;
  /** Objects of images stored now. */
  readonly objects: number;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** The model that it is being re-embedded to, while it is. */
  readonly reembedding?: ModelIdentity;
}

/** A second name of a collection, in one namespace with the collections' own. */
export interface Alias {
  readonly name: string;
  /** The collection's own name. */
  readonly collection: string;
}

/** A stored version of an image that has no vector of the next model yet. */
export interface PendingImage {
  readonly id: string;
  /** Grows with everything that is stored; an image that is replaced gets another. */
  readonly version: number;
}

/** A vector of the next model, for a version of an image. */
export interface NextVector extends PendingImage {
  /** Any length but zero: the store normalises to unit length. `dimension` of the next model finite elements. */
  readonly vector: Float32Array;
}

/** How far a re-embedding is, in images. */
export interface ReembeddingProgress {
  readonly done: number;
  readonly total: number;
}

/**
 * `swapped`: the collection is of the next model now. `pending`: images have been stored since that have no vector yet.
 * `indexing`: the next graph is still far behind the vectors.
 */
export type FinishOutcome =
  { readonly state: 'swapped'; readonly dropped: number } | { readonly state: 'pending' | 'indexing' };

/** Everything about an image except its bytes and its vector. */
export interface StoredImage {
  readonly id: string;
  readonly metadata: Metadata;
  /** Lower-case hex SHA-256 of the original bytes; of the vector, where that came without its image. */
  readonly contentHash: string;
  /** Media type of the original bytes, e.g. `image/jpeg`. */
  readonly mediaType: string;
  /** Pixels, after EXIF orientation; 0 for a vector without its image. */
  readonly width: number;
  readonly height: number;
  /** Size of the original in bytes; 0 for a vector without its image. */
  readonly bytes: number;
  /** Whether the original is kept. */
  readonly hasOriginal: boolean;
  /** Whether a thumbnail is kept. */
  readonly hasThumbnail: boolean;
  /** Only where it was stored with its objects. */
  readonly objects?: ImageObjects;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** An image that was asked for with or without its vector. */
export interface FoundImage extends StoredImage {
  /** Unit length; only where it was asked for. */
  readonly vector?: Float32Array;
}

export interface ImageOptions {
  /** Give its vector, too. Default false. */
  readonly withVector?: boolean;
}

export interface NewImage {
  readonly id: string;
  readonly metadata: Metadata;
  readonly contentHash: string;
  readonly mediaType: string;
  /** Pixels, after EXIF orientation; 0 without `content`. */
  readonly width: number;
  readonly height: number;
  /** The original bytes, kept where the collection's `content` is `original`; none for a vector without its image. */
  readonly content?: Uint8Array;
  /** A small WebP. Needed beside `content` where the collection keeps thumbnails. */
  readonly thumbnail?: Uint8Array;
  /** Any length but zero: the store normalises to unit length. `dimension` finite elements. */
  readonly vector: Float32Array;
  /** Model that made the vector; a conflict where the collection is of another by now. Default: the collection's. */
  readonly modelFingerprint?: string;
  /** What it shows, to be found by itself; not with a vector alone. */
  readonly objects?: NewObjects;
}

/** Fields to set, null to remove. */
export type MetadataPatch = Readonly<Record<string, MetadataValue | null>>;

/** `duplicate`: not stored, because its content is in the collection under another id; only where that was asked for. */
export type PutOutcome = 'created' | 'replaced' | 'unchanged' | 'duplicate';

/** What becomes of a new id whose content the collection has under another one. */
export const DUPLICATE_CHOICES = ['keep', 'skip'] as const;
export type DuplicateChoice = (typeof DUPLICATE_CHOICES)[number];

export interface PutOptions {
  /** `keep`: it is stored like any other. `skip`: it is not stored. An id that is there is stored as ever. Default `keep`. */
  readonly onDuplicate?: DuplicateChoice;
}

/** Content that a collection has, and the first id in order that has it. */
export interface KnownContent {
  readonly contentHash: string;
  readonly id: string;
}

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
  /** Give the images' vectors, too. Default false. */
  readonly withVectors?: boolean;
}

export interface ImagePage {
  readonly images: FoundImage[];
  /** Null at the end. Images are in ascending order of id (by Unicode code point). */
  readonly nextCursor: string | null;
}

export interface SearchQuery extends RankingSettings {
  /** `dimension` finite elements, not all zero. */
  readonly vector: Float32Array;
  /** Model that made the vector; a conflict where the collection is of another by now. Default: the collection's. */
  readonly modelFingerprint?: string;
  /** Ids never returned, e.g. the query's own; unknown ones are ignored. At most 10,000. */
  readonly excludeIds?: readonly string[];
}

/** Everything about a search but what is looked for. */
export interface RankingSettings {
  /** Neighbours wanted, 1..1000; with `groupBy` groups wanted. */
  readonly k: number;
  /**
   * Hits, or groups, left out from the top; default 0, `offset + k` at most 10,000. The pages of a scan
   * put together are the one long answer; a graph is looked into deeper for later pages and may repeat
   * or miss an image between two of them.
   */
  readonly offset?: number;
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
  /**
   * Cosine, 0..1, from which an image is a copy of another: a copy of a better hit is no hit. The ranking
   * is gone through from the top, and only what is kept counts as a better hit. Then `offset + k` is at
   * most 1000.
   */
  readonly suppressDuplicates?: number;
  /** Chooses hits that differ from each other (MMR) and gives them in the order of the choice. Not with `groupBy`. */
  readonly diversity?: Diversity;
  /**
   * Metadata field: the answer has `k` groups, each of the images with one value of the field, in order
   * of their best hit and its hits together. An image with a list is in the group of each element; one
   * without the field is in none. Values of different types are different.
   */
  readonly groupBy?: string;
  /** Hits of each group, 1..100, `k * groupSize` at most 10,000. Default 1: the best. Only with `groupBy`. */
  readonly groupSize?: number;
  /** Give the hits' vectors, too: of those found by an object, the object's. Default false. */
  readonly withVectors?: boolean;
  /**
   * Compare with the images (the default), with their objects, or with both; an image is one hit at most, its best.
   * The last two not with `suppressDuplicates` or `diversity`, which compare whole images.
   */
  readonly objects?: SearchedVectors;
}

/**
 * Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): hits are chosen one by one, each the
 * candidate with the highest `lambda * score - (1 - lambda) * (highest cosine with a hit chosen before)`.
 */
export interface Diversity {
  /** 1: nearest first; 0: as different as can be. 0..1, default 0.5. */
  readonly lambda?: number;
  /** The best so many are candidates; at least `offset + k`, which is at most 1000. 1..1000, default 100. */
  readonly candidates?: number;
}

export interface DuplicateQuery {
  /** Cosine from which two images are near-duplicates, 0..1. */
  readonly threshold: number;
  /** Only among the images that match. */
  readonly filter?: Filter;
  /**
   * true: every image is compared with every other; false: each is searched for its neighbours by the
   * index, which may miss a pair as a search may; undefined: the store decides by the number of images.
   */
  readonly exact?: boolean;
  /** Pairs given, the most similar, 0..100,000; the groups are of all pairs. */
  readonly maxPairs: number;
}

export interface DuplicateOptions {
  readonly signal?: AbortSignal;
  /** Told how many images have been compared, of how many. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface DuplicatePair {
  /** The id that comes first. */
  readonly a: string;
  readonly b: string;
  /** Cosine. */
  readonly score: number;
}

/** Images connected by pairs: each is a near-duplicate of another one, not of all. */
export interface DuplicateGroup {
  /** Two or more, in ascending order. */
  readonly ids: string[];
  /** Best first. */
  readonly pairs: DuplicatePair[];
}

export interface DuplicateReport {
  /** Images that were compared. */
  readonly images: number;
  /** Largest first; equal sizes in ascending order of the first id. */
  readonly groups: DuplicateGroup[];
  /** Pairs there are, given or not. */
  readonly pairs: number;
  /** Whether every image was compared with every other. */
  readonly exact: boolean;
}

export interface FacetQuery {
  /** Metadata field. */
  readonly field: string;
  readonly filter?: Filter;
  /** Values wanted, 1..1000. */
  readonly limit: number;
}

export interface FacetValue {
  readonly value: FilterScalar;
  /** Images that have it, in a list too. */
  readonly count: number;
}

export interface Facets {
  /** Most frequent first; equal counts with numbers before texts before booleans, each ascending. */
  readonly values: FacetValue[];
  /** Different values that there are. */
  readonly distinct: number;
  /** Images that match the filter. */
  readonly total: number;
  /** Those of them without the field. */
  readonly missing: number;
}

export interface SearchHit {
  readonly id: string;
  /** Cosine similarity, -1..1; bigger is closer. */
  readonly score: number;
  readonly metadata: Metadata;
  /** With `groupBy`: the value of the field that the hit stands for. */
  readonly group?: FilterScalar;
  /** Where it was found by an object: the object's box. */
  readonly bbox?: ImageObject['bbox'];
  /** Unit length; only where it was asked for. */
  readonly vector?: Float32Array;
}

export interface SearchAnswer {
  readonly hits: SearchHits;
  /** Name of the collection's model. */
  readonly model: string;
}

/**
 * Where images, their vectors and their metadata live.
 *
 * Promises, kept by every implementation and checked by `test/contracts/collection-store.ts`:
 * - a resolved write is on disk and survives SIGKILL; a rejected one changed nothing;
 * - the vectors and metadata are the truth, an index is derived from them and can be rebuilt;
 * - search returns k hits, or groups, whenever there are as many that match and reach `minScore`, whatever
 *   is excluded, suppressed or skipped by `offset`; by the graph alone (`exact: false`) `minScore` cuts what it found;
 * - an alias stands for its collection in every call but `deleteCollection`;
 * - vectors of two models never meet: a re-embedding shows nothing until it is swapped in as one, and survives a restart;
 * - failures are `DinoError`s: `not-found`, `conflict`, `invalid-request`.
 */
export interface CollectionStore {
  /** Creates the collection, or returns the one that is there. @throws conflict when it is there with other settings */
  createCollection(
    name: string,
    settings: GivenSettings,
  ): Promise<{ collection: Collection; created: boolean }>;
  /** @throws not-found */
  getCollection(name: string): Promise<Collection>;
  /** In ascending order of name. */
  listCollections(): Promise<Collection[]>;
  /**
   * Changes what may change. A new choice of content holds for images stored afterwards; what is there stays.
   *
   * @throws not-found; conflict during a re-embedding, which needs the originals
   */
  alterCollection(name: string, changes: Partial<AlterableSettings>): Promise<Collection>;
  /** Deletes the collection with all its images. @throws not-found; conflict for an alias, and while it has any */
  deleteCollection(name: string): Promise<void>;

  /**
   * Makes a name stand for a collection, from one moment to the next, whatever it stood for.
   *
   * @throws not-found for a collection that is not there; conflict when `alias` is a collection's name or `collection` an alias
   */
  putAlias(alias: string, collection: string): Promise<{ alias: Alias; created: boolean }>;
  /** @throws not-found */
  getAlias(alias: string): Promise<Alias>;
  /** In ascending order of name. */
  listAliases(): Promise<Alias[]>;
  /** The collection stays. @throws not-found */
  deleteAlias(alias: string): Promise<void>;

  /**
   * Begins to give the collection vectors of another model, or goes on with what an earlier run began for that model;
   * what was begun for yet another is discarded. Reads and writes go on with the model of now.
   *
   * @throws not-found; conflict when it is of that model, does not keep originals, or has objects
   */
  beginReembedding(collection: string, next: ModelIdentity): Promise<ReembeddingProgress>;
  /**
   * Images with an original and without a vector of the next model, in ascending order of version.
   *
   * @param options.after the last version of the page before
   * @param options.limit 1..1000
   * @throws not-found; conflict when no re-embedding is under way
   */
  listPending(
    collection: string,
    options: { readonly after?: number; readonly limit: number },
  ): Promise<PendingImage[]>;
  /** Takes vectors in; those of versions that are no longer there are ignored. @throws as `listPending`, invalid-request */
  putNextVectors(collection: string, vectors: readonly NextVector[]): Promise<ReembeddingProgress>;
  /**
   * Puts the next model, its vectors and graph in the place of those of now, all at once, if they are complete.
   *
   * @param options.dropMissing delete the images that have no original, instead of refusing
   * @throws as `listPending`; conflict when images lack their original
   */
  finishReembedding(collection: string, options: { readonly dropMissing: boolean }): Promise<FinishOutcome>;
  /** Forgets the vectors made so far; nothing happens where no re-embedding is under way. @throws not-found */
  cancelReembedding(collection: string): Promise<void>;
  /** The images that have no original: how many, and the first of their ids. @throws not-found */
  countWithoutOriginal(collection: string): Promise<{ count: number; ids: string[] }>;

  /**
   * Stores images, all or none, in one transaction; an id that is there is replaced.
   * `unchanged`: same content, metadata and setting of objects were there already. Objects are a conflict during a
   * re-embedding.
   */
  putImages(collection: string, images: readonly NewImage[], options?: PutOptions): Promise<PutOutcome[]>;
  /** @throws not-found */
  getImage(collection: string, id: string, options?: ImageOptions): Promise<FoundImage>;
  /** The ones of `ids` that are there, in no order. For upserts that can skip what did not change. */
  findImages(collection: string, ids: readonly string[]): Promise<StoredImage[]>;
  /** Those of the contents (SHA-256, lower-case hex) that an image of the collection has, in no order. @throws not-found */
  findContents(collection: string, contentHashes: readonly string[]): Promise<KnownContent[]>;
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

  /** Nearest first, unless `groupBy` or `diversity` says otherwise; equal scores in ascending order of id. */
  search(collection: string, query: SearchQuery): Promise<SearchHit[]>;
  /** The same by the vector of a stored image, which is not among the hits. @throws not-found */
  searchStored(collection: string, id: string, settings: RankingSettings): Promise<SearchAnswer>;

  /** Images that match; all where there is no filter. */
  countImages(collection: string, filter?: Filter): Promise<number>;
  /** Values of a metadata field with the number of images that have them; a list counts for each different element. */
  facets(collection: string, query: FacetQuery): Promise<Facets>;

  /**
   * Near-duplicates among the images that are there when it begins; those replaced or deleted meanwhile
   * are left out. Other calls go on in the meantime.
   *
   * @throws what the signal was aborted with; not-found also when the collection is deleted meanwhile
   */
  findDuplicates(
    collection: string,
    query: DuplicateQuery,
    options?: DuplicateOptions,
  ): Promise<DuplicateReport>;

  /** Saves derived data and closes the files. Nothing may be called afterwards. */
  close(): Promise<void>;
}
