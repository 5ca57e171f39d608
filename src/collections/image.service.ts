import { webcrypto } from 'node:crypto';
import { DinoError } from '../errors.js';
import type { EmbeddingService } from '../inference/embedding.service.js';
import type { Model } from '../models/model-registry.js';
import type { ImageReader } from '../vision/image-reader.js';
import type { CollectionService } from './collection.service.js';
import type {
  CollectionStore,
  ImagePage,
  ListQuery,
  MetadataPatch,
  NewImage,
  Picture,
  PutOutcome,
  StoredImage,
} from './collection-store.js';
import type { Metadata } from './filter.js';
import { canonicalMetadata, encodeMetadata, validateImageId } from './validate-image.js';

export interface ImageToPut {
  /** Default: the SHA-256 of the bytes. */
  readonly id?: string;
  readonly bytes: Uint8Array;
  readonly metadata: Metadata;
}

export type PutResult =
  | { readonly id: string; readonly status: PutOutcome }
  | { readonly id: string | null; readonly error: DinoError };

/** Images in collections: embedded on the way in, kept with their vector, metadata and thumbnail. */
export class ImageService {
  readonly #store: CollectionStore;
  readonly #collections: CollectionService;
  readonly #embeddings: EmbeddingService;
  readonly #reader: ImageReader;

  constructor(parts: {
    store: CollectionStore;
    collections: CollectionService;
    embeddings: EmbeddingService;
    reader: ImageReader;
  }) {
    this.#store = parts.store;
    this.#collections = parts.collections;
    this.#embeddings = parts.embeddings;
    this.#reader = parts.reader;
  }

  /**
   * Stores one image under an id; the same content and metadata again cost no inference.
   *
   * @throws DinoError for whatever is wrong with it; then nothing has changed
   */
  async put(
    collection: string,
    image: ImageToPut & { id: string },
    signal?: AbortSignal,
  ): Promise<{ status: PutOutcome; image: StoredImage }> {
    const [result] = await this.putMany(collection, [image], signal);
    if ('error' in result!) throw result.error;
    return { status: result!.status, image: await this.#store.getImage(collection, image.id) };
  }

  /**
   * Stores several images, each by itself good or not: those that are readable are written in one transaction.
   *
   * @returns one result per image, in order
   * @throws DinoError when the collection is not there or the service is overloaded; then nothing has changed
   */
  async putMany(
    collectionName: string,
    images: readonly ImageToPut[],
    signal?: AbortSignal,
  ): Promise<PutResult[]> {
    const { model } = await this.#collections.getWithModel(collectionName);
    const prepared = await Promise.all(images.map(prepare));
    const ids = prepared.flatMap((image) => ('error' in image ? [] : [image.id]));
    const present = new Map(
      (await this.#store.findImages(collectionName, [...new Set(ids)])).map((image) => [image.id, image]),
    );

    const results = new Array<PutResult | undefined>(images.length);
    const toWrite: { index: number; image: NewImage }[] = [];
    const firstUse = new Map<string, PreparedImage>();
    await Promise.all(
      prepared.map(async (image, index) => {
        if ('error' in image) {
          results[index] = image;
          return;
        }
        const earlier = firstUse.get(image.id);
        if (earlier !== undefined) {
          results[index] = repeated(image, earlier);
          return;
        }
        firstUse.set(image.id, image);
        const stored = present.get(image.id);
        if (
          stored !== undefined &&
          stored.contentHash === image.contentHash &&
          canonicalMetadata(JSON.stringify(stored.metadata)) === image.canonicalMetadata
        ) {
          results[index] = { id: image.id, status: 'unchanged' };
          return;
        }
        const made = await this.#make(image, model, signal);
        if (made instanceof DinoError) results[index] = { id: image.id, error: made };
        else toWrite.push({ index, image: made });
      }),
    );
    if (toWrite.length > 0) {
      const outcomes = await this.#store.putImages(
        collectionName,
        toWrite.map(({ image }) => image),
      );
      toWrite.forEach(({ index, image }, i) => (results[index] = { id: image.id, status: outcomes[i]! }));
    }
    return results as PutResult[];
  }

  get(collection: string, id: string): Promise<StoredImage> {
    return this.#store.getImage(collection, id);
  }

  list(collection: string, query: ListQuery): Promise<ImagePage> {
    return this.#store.listImages(collection, query);
  }

  content(collection: string, id: string): Promise<Picture> {
    return this.#store.getContent(collection, id);
  }

  thumbnail(collection: string, id: string): Promise<Picture> {
    return this.#store.getThumbnail(collection, id);
  }

  patch(collection: string, id: string, patch: MetadataPatch): Promise<StoredImage> {
    return this.#store.patchMetadata(collection, id, patch);
  }

  delete(collection: string, id: string): Promise<void> {
    return this.#store.deleteImage(collection, id);
  }

  /** Returns, not throws, what is wrong with this image alone: the others of its batch go on. */
  async #make(
    image: PreparedImage,
    model: Model,
    signal: AbortSignal | undefined,
  ): Promise<NewImage | DinoError> {
    try {
      const [embedding, thumbnail] = await Promise.all([
        this.#embeddings.embed(image.bytes, model, signal),
        this.#reader.thumbnail(image.bytes),
      ]);
      const { mediaType, width, height } = embedding.info;
      const { id, metadata, contentHash, bytes } = image;
      return {
        id,
        metadata,
        contentHash,
        mediaType,
        width,
        height,
        content: bytes,
        thumbnail,
        vector: embedding.vector,
      };
    } catch (error) {
      if (error instanceof DinoError && error.code !== 'overloaded') return error;
      throw error;
    }
  }
}

interface PreparedImage {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly metadata: Metadata;
  /** The metadata as JSON, the same for any order of fields. */
  readonly canonicalMetadata: string;
  readonly contentHash: string;
}

async function prepare(image: ImageToPut): Promise<PreparedImage | { id: string | null; error: DinoError }> {
  // Hashed on another thread: a large file would hold up the event loop.
  const contentHash = Buffer.from(await webcrypto.subtle.digest('SHA-256', image.bytes)).toString('hex');
  const id = image.id ?? contentHash;
  try {
    validateImageId(id);
    const canonical = canonicalMetadata(encodeMetadata(image.metadata));
    return { id, bytes: image.bytes, metadata: image.metadata, canonicalMetadata: canonical, contentHash };
  } catch (error) {
    if (error instanceof DinoError) return { id: image.id ?? null, error };
    throw error;
  }
}

/** The second use of an id in one batch: harmless when it says the same, else nobody can know which was meant. */
function repeated(image: PreparedImage, earlier: PreparedImage): PutResult {
  if (image.contentHash === earlier.contentHash && image.canonicalMetadata === earlier.canonicalMetadata) {
    return { id: image.id, status: 'unchanged' };
  }
  return {
    id: image.id,
    error: new DinoError(
      'conflict',
      `The id ${image.id} occurs twice in this request, with different images.`,
    ),
  };
}
