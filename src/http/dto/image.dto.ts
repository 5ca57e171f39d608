import type { Metadata } from '../../collections/filter.js';
import type { Problem } from './problem.dto.js';

/** How vectors are written: lists of numbers, or base64 of little-endian float32. */
export type VectorEncoding = 'float' | 'base64';

/** An image that a collection holds. */
export interface StoredImageReference {
  collection: string;
  id: string;
}

/** An image in JSON: a `data:` URI, bare base64, or a stored image. */
export type ImageReference = string | StoredImageReference;

/**
 * How objects are found, as by `POST /v1/masks`: `maskcut` and `deep-spectral` find several, `tokencut` and `lost` one
 * at most.
 */
export type ObjectMethodName = 'maskcut' | 'tokencut' | 'lost' | 'deep-spectral';

/** Has the image's objects found and stored with it, each with the embedding of its box cut out of the image. */
export interface ObjectSettingRequest {
  method: ObjectMethodName;
  /**
   * Most objects kept. Default 3; `tokencut` and `lost` find one at most.
   * @isInt
   * @minimum 1
   * @maximum 10
   */
  max?: number;
}

/** An object that a stored image shows. */
export interface ImageObjectResource {
  /**
   * `[x, y, width, height]` in px of the image, after EXIF orientation.
   * @minItems 4
   * @maxItems 4
   */
  bbox: number[];
  /** As the method scores its masks. */
  score: number;
}

/** The objects of a stored image. */
export interface ImageObjectsResource {
  method: ObjectMethodName;
  /** Most objects kept. */
  max: number;
  /** In the method's order; empty where none was found. */
  found: ImageObjectResource[];
}

interface ObjectOptions {
  /** Finds the image's objects by this method and stores them with it, so that a search can find them. */
  objects?: ObjectMethodName;
  /**
   * Most objects kept. Default 3; `tokencut` and `lost` find one at most. Only with `objects`.
   * @isInt
   * @minimum 1
   * @maximum 10
   */
  maxObjects?: number;
}

/** A stored image, without its bytes. */
export interface ImageResource {
  /** Unique in its collection; the SHA-256 of the content where the caller gave none. */
  id: string;
  metadata: Metadata;
  /** Hex SHA-256 of the original bytes. */
  contentHash: string;
  /** Media type of the original, e.g. `image/jpeg`. */
  mediaType: string;
  /** Width in px after EXIF orientation. */
  width: number;
  /** Height in px after EXIF orientation. */
  height: number;
  /** Size of the original in bytes. */
  bytes: number;
  /** Whether the original is kept; if not, `.../content` is 404 and a re-embedding needs it again. */
  hasOriginal: boolean;
  /** Whether a thumbnail is kept. */
  hasThumbnail: boolean;
  /** Where it was stored with `objects`: how they were looked for, and what was found. */
  objects?: ImageObjectsResource;
  /** ISO 8601, UTC. */
  createdAt: string;
  /** ISO 8601, UTC. */
  updatedAt: string;
  /** Where `withVectors` asks for it: unit length; numbers, or base64 of little-endian float32. */
  vector?: number[] | string;
}

export interface PutImageRequest {
  image: ImageReference;
  /** Flat: texts, numbers, booleans, lists of texts or of numbers. */
  metadata?: Metadata;
  /** Default: its objects are not looked for. */
  objects?: ObjectSettingRequest;
}

/** Options of an image sent as it is. */
export interface PutImageOptions extends ObjectOptions {
  /** Metadata as JSON text, e.g. `{"class":"cat"}`; in multipart the field of that name. */
  metadata?: string;
}

/** What became of an image. */
export type PutStatus = 'created' | 'replaced' | 'unchanged';

export interface PutImageResponse {
  /** `unchanged`: the same content, metadata and setting of objects were stored already, nothing was computed. */
  status: PutStatus;
  image: ImageResource;
}

export interface BatchItem {
  /** Default: the SHA-256 of the content. */
  id?: string;
  image: ImageReference;
  metadata?: Metadata;
}

/** What becomes of a new id whose content the collection has under another one. */
export type DuplicateChoiceName = 'keep' | 'skip';

export interface BatchRequest {
  /** @minItems 1 */
  images: BatchItem[];
  /** `skip`: an image under a new id is not stored where its content is in the collection. Default `keep`. */
  onDuplicate?: DuplicateChoiceName;
  /** For all of them; default: their objects are not looked for. */
  objects?: ObjectSettingRequest;
}

/** Options of a batch sent as multipart files. */
export interface BatchOptions extends ObjectOptions {
  /** JSON text: a list of `{"id"?, "metadata"?}`, one for each file in the files' order. */
  items?: string;
  /** `skip`: an image under a new id is not stored where its content is in the collection. Default `keep`. */
  onDuplicate?: DuplicateChoiceName;
}

export interface BatchResult {
  /** Null where the item failed before it had one. */
  id: string | null;
  /** `duplicate`: not stored, because of `onDuplicate: "skip"`. */
  status: 'created' | 'replaced' | 'unchanged' | 'duplicate' | 'failed';
  /** The image that has the same content, where the status is `duplicate`. */
  duplicateOf?: string;
  /** Why it failed. */
  error?: Problem;
}

export interface BatchResponse {
  /** One for each item, in order. */
  results: BatchResult[];
}

export interface PatchImageRequest {
  /** Fields to set; null removes a field; the others stay. */
  metadata: { [field: string]: string | number | boolean | string[] | number[] | null };
}

export interface ImageListResponse {
  /** In ascending order of id. */
  images: ImageResource[];
  /** Give it as `cursor` for the next page; null at the end. */
  nextCursor: string | null;
}
