import type { Filter, FilterScalar, Metadata } from '../../collections/filter.js';
import type { ImageReference, VectorEncoding } from './image.dto.js';
import type { RunLengthMask } from './segmentation.dto.js';

export interface CollectionRequest {
  /** Model whose vectors the collection holds; default: the server's. Re-embedding changes it. */
  model?: string;
  /**
   * HNSW: links per node. Default 16.
   * @isInt
   * @minimum 2
   * @maximum 64
   */
  m?: number;
  /**
   * HNSW: candidates kept while building. Default 200.
   * @isInt
   * @minimum 8
   * @maximum 800
   */
  efConstruction?: number;
  /**
   * HNSW: candidates kept while searching. Default 128.
   * @isInt
   * @minimum 1
   * @maximum 4096
   */
  ef?: number;
  /** What is kept of an image beside its vector: the original, a thumbnail alone, or nothing. Default `original`. */
  content?: ContentChoiceName;
  /** Whether a thumbnail is kept. Default true, but false for content `none`; content `thumbnail` needs it. */
  thumbnails?: boolean;
}

export type ContentChoiceName = 'original' | 'thumbnail' | 'none';

/**
 * What may change of a collection. `content` and `thumbnails` hold for images stored from now on; what is there stays.
 * `m` and `efConstruction` never change; the model changes by `POST .../reembed`.
 */
export interface AlterCollectionRequest {
  /**
   * HNSW: candidates kept while searching.
   * @isInt
   * @minimum 1
   * @maximum 4096
   */
  ef?: number;
  /** What is kept of an image beside its vector. */
  content?: ContentChoiceName;
  /** Whether a thumbnail is kept; where only `content` is given, it takes that one's default. */
  thumbnails?: boolean;
  /** Never changes: any value but the collection's is refused. */
  m?: number;
  /** Never changes: any value but the collection's is refused. */
  efConstruction?: number;
  /** Changes by re-embedding: any value but the collection's is refused. */
  model?: string;
}

export interface ReembedRequest {
  /** Name of the model to change to. */
  model: string;
  /** Delete the images whose original is not kept, instead of refusing. Default false. */
  dropMissing?: boolean;
}

/** A model that a collection is being re-embedded to. */
export interface ReembeddingTarget {
  model: string;
  modelFingerprint: string;
  dimension: number;
}

export interface AliasRequest {
  /** Name of a collection. */
  collection: string;
}

/** A second name of a collection. */
export interface AliasResource {
  name: string;
  collection: string;
}

export interface AliasListResponse {
  /** In ascending order of name. */
  aliases: AliasResource[];
}

export interface CollectionResource {
  name: string;
  /** Images stored. */
  count: number;
  /** Objects stored with them. */
  objects: number;
  model: string;
  /** SHA-256 of the model's file. */
  modelFingerprint: string;
  /** Length of a vector. */
  dimension: number;
  m: number;
  efConstruction: number;
  ef: number;
  /** What is kept of images stored from now on, beside their vectors. */
  content: ContentChoiceName;
  /** Whether a thumbnail is kept of them. */
  thumbnails: boolean;
  /** There while it is being re-embedded: until the swap everything is of `model`. */
  reembedding?: ReembeddingTarget;
  /** ISO 8601, UTC. */
  createdAt: string;
}

export interface CollectionListResponse {
  /** In ascending order of name. */
  collections: CollectionResource[];
}

/** A part of the query image: exactly one of `bbox` and `mask`. */
export interface QueryRegion {
  /**
   * `[x, y, width, height]` in px of the image, after EXIF orientation; what lies beyond the image is cut off.
   * @minItems 4
   * @maxItems 4
   */
  bbox?: number[];
  /** COCO's compressed run lengths, as large as the image: as `POST /v1/masks` gives them. */
  mask?: RunLengthMask;
}

interface NeighbourParameters {
  /**
   * Neighbours wanted, with `groupBy` groups. Default 10 (classify: 20).
   * @isInt
   * @minimum 1
   * @maximum 1000
   */
  k?: number;
  /**
   * HNSW candidates kept while searching; default: the collection's.
   * @isInt
   * @minimum 1
   * @maximum 4096
   */
  ef?: number;
  /** true: compare with every vector; false: use the graph; default: what is exact enough and fast. */
  exact?: boolean;
  /**
   * What stands for a `region`: `crop` (the default), the embedding of its box cut out of the image; `tokens`, the mean
   * of its patches' tokens when the model looks at the whole image.
   */
  regionVector?: 'crop' | 'tokens';
}

interface SearchParameters extends NeighbourParameters {
  /**
   * Cosine similarity below which nothing is returned, -1..1.
   * @minimum -1
   * @maximum 1
   */
  minScore?: number;
  /**
   * Hits (with `groupBy` groups) left out from the top, for the pages after the first. Default 0; `offset` + `k` is
   * 10,000 at most, and 1000 with `suppressDuplicates` or `diversity`.
   * @isInt
   * @minimum 0
   * @maximum 10000
   */
  offset?: number;
  /**
   * Cosine from which an image is a copy of another: copies of a better hit are left out, and `k` is still filled.
   * @minimum 0
   * @maximum 1
   */
  suppressDuplicates?: number;
  /**
   * Metadata field: `k` groups of images with one value of it, best group first. A list counts for each element;
   * images without the field are left out.
   */
  groupBy?: string;
  /**
   * Hits of each group. Default 1; `k` * `groupSize` is 10,000 at most. Only with `groupBy`.
   * @isInt
   * @minimum 1
   * @maximum 100
   */
  groupSize?: number;
  /**
   * What is compared with: whole images (the default), their objects, or both. An image is one result at most, its best;
   * one found by an object has its `bbox`. Objects go neither with `suppressDuplicates` nor with `diversity`.
   */
  objects?: 'images' | 'objects' | 'both';
  /** Give the vectors of the results: as lists of numbers, or as base64 of little-endian float32. Default: none. */
  withVectors?: VectorEncoding;
}

/** Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): results that differ from each other. */
export interface DiversityOptions {
  /**
   * 1: nearest first; 0: as different as can be. Default 0.5.
   * @minimum 0
   * @maximum 1
   */
  lambda?: number;
  /**
   * The best so many are chosen from; at least `offset` + `k`. Default 100.
   * @isInt
   * @minimum 1
   * @maximum 1000
   */
  candidates?: number;
}

/** Options of a query image sent as it is. */
export interface SearchOptions extends SearchParameters {
  /** The part of the image to look for, as JSON text: `{"bbox": [x, y, width, height]}` or `{"mask": {...}}`. */
  region?: string;
  /** Id of a stored image to search by, in place of a body. */
  id?: string;
  /** A filter as JSON text. */
  filter?: string;
  /** Results that differ from each other, as JSON text: `{"lambda": 0.5, "candidates": 100}`, both optional. */
  diversity?: string;
}

/** Exactly one of `image`, `id`, `vector`, or `positive` (with or without `negative`). */
interface QueryBody {
  image?: ImageReference;
  /** The part of `image` to look for; default: all of it. */
  region?: QueryRegion;
  /** Id of an image of this collection; it is not among the results. */
  id?: string;
  /** As long as the collection's dimension; any length but zero: numbers, or base64 of little-endian float32. */
  vector?: number[] | string;
  /** Ids of images to be close to: the mean of their vectors. They are not among the results. */
  positive?: string[];
  /** Ids of images to be far from: their mean is taken away. They are not among the results. */
  negative?: string[];
}

export interface SearchRequest extends SearchParameters, QueryBody {
  filter?: Filter;
  /** Results that differ from each other, in the order of their choice; not with `groupBy`. */
  diversity?: DiversityOptions;
}

export interface SearchResult {
  id: string;
  /** Cosine similarity, -1..1; bigger is closer. */
  score: number;
  metadata: Metadata;
  /** With `groupBy`: the value that the result stands for. */
  group?: FilterScalar;
  /**
   * Where it was found by an object: `[x, y, width, height]` in px of the stored image, after EXIF orientation.
   * @minItems 4
   * @maxItems 4
   */
  bbox?: number[];
  /** Where `withVectors` asks for it: unit length; numbers, or base64 of little-endian float32. */
  vector?: number[] | string;
}

export interface SearchResponse {
  /** Nearest first; with `groupBy` group after group; with `diversity` in the order of their choice. */
  results: SearchResult[];
  model: string;
  /** Time on the server in ms, the query image's embedding included. */
  tookMs: number;
}

interface ClassifyParameters extends NeighbourParameters {
  /**
   * A vote weighs exp(cosine / temperature). Default 0.07, as in the DINO paper.
   * @exclusiveMinimum 0
   * @maximum 100
   */
  temperature?: number;
}

export interface ClassifyOptions extends ClassifyParameters {
  /** The part of the image to classify, as JSON text: `{"bbox": [x, y, width, height]}` or `{"mask": {...}}`. */
  region?: string;
  /** Metadata field that holds the label. Needed here or in the body. */
  field?: string;
  /** Id of a stored image to classify, in place of a body. */
  id?: string;
  /** A filter as JSON text. */
  filter?: string;
}

export interface ClassifyRequest extends ClassifyParameters, QueryBody {
  /** Metadata field that holds the label. */
  field: string;
  filter?: Filter;
}

export interface Vote {
  label: string;
  /** Share of the votes, 0..1; they sum to 1. */
  weight: number;
}

export interface ClassifyResponse {
  /** The label with most votes; null where no neighbour has one. */
  label: string | null;
  /** Heaviest first. */
  votes: Vote[];
  model: string;
  tookMs: number;
}
