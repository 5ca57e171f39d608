import type { Caller } from '../caller.js';
import { DinoError } from '../errors.js';
import { sha256 } from '../sha256.js';
import type { EmbeddingService } from '../inference/embedding.service.js';
import type { Model } from '../models/model-registry.js';
import type { ImageReader } from '../vision/image-reader.js';
import type { CollectionService } from './collection.service.js';
import type {
  Collection,
  CollectionStore,
  FoundImage,
  ImageOptions,
  ImagePage,
  ListQuery,
  MetadataPatch,
  NewImage,
  PutOptions,
  Picture,
  PutOutcome,
  StoredImage,
} from './collection-store.js';
import type { Metadata } from './filter.js';
import { isSameSetting, type ObjectSetting } from './image-objects.js';
import type { ObjectService } from './object.service.js';
import { againAfterChange } from './again-after-change.js';
import { canonicalMetadata, encodeMetadata, validateImageId } from './validate-image.js';
import { validateObjectSetting } from './validate-objects.js';

export interface ImageToPut {
  /** Default: the SHA-256 of the bytes. */
  readonly id?: string;
  readonly bytes: Uint8Array;
  readonly metadata: Metadata;
  /** How to look for its objects; default: they are not looked for. */
  readonly objects?: ObjectSetting;
}

export type PutResult =
  | {
      readonly id: string;
      readonly status: PutOutcome;
      /** Where the status is `duplicate`: the image that has the same content. */
      readonly duplicateOf?: string;
    }
  | { readonly id: string | null; readonly error: DinoError };

/** Images in collections: embedded on the way in, kept with their vector, metadata and thumbnail. */
export class ImageService {
  readonly #store: CollectionStore;
  readonly #collections: CollectionService;
  readonly #embeddings: EmbeddingService;
  readonly #reader: ImageReader;
  readonly #objects: ObjectService;

  constructor(parts: {
    store: CollectionStore;
    collections: CollectionService;
    embeddings: EmbeddingService;
    reader: ImageReader;
    objects: ObjectService;
  }) {
    this.#store = parts.store;
    this.#collections = parts.collections;
    this.#embeddings = parts.embeddings;
    this.#reader = parts.reader;
    this.#objects = parts.objects;
  }

  /**
   * Stores one image under an id; the same content, metadata and setting of objects again cost no inference.
   *
   * @throws DinoError for whatever is wrong with it; then nothing has changed
   */
  async put(
    collection: string,
    image: ImageToPut & { id: string },
    caller?: Caller,
  ): Promise<{ status: Exclude<PutOutcome, 'duplicate'>; image: StoredImage }> {
    const { name, results } = await againAfterChange(() => this.#putMany(collection, [image], { caller }));
    const [result] = results;
    if ('error' in result!) throw result.error;
    // Nobody has asked for duplicates to be skipped.
    const status = result!.status as Exclude<PutOutcome, 'duplicate'>;
    // From where it went: an alias may stand for another collection by now.
    return { status, image: await this.#store.getImage(name, image.id) };
  }

  /**
   * Stores several images, each by itself good or not: those that are readable are written in one transaction.
   *
   * @returns one result per image, in order
   * @throws DinoError when the collection is not there or the service is overloaded; then nothing has changed
   */
  async putMany(
    collection: string,
    images: readonly ImageToPut[],
    options: PutOptions & { caller?: Caller } = {},
  ): Promise<PutResult[]> {
    return (await againAfterChange(() => this.#putMany(collection, images, options))).results;
  }

  /** @returns the name of the collection they went to, too */
  async #putMany(
    collectionName: string,
    images: readonly ImageToPut[],
    options: PutOptions & { caller?: Caller },
  ): Promise<{ name: string; results: PutResult[] }> {
    const { collection, model } = await this.#collections.getWithModel(collectionName);
    const prepared = await Promise.all(images.map(prepare));
    const ids = prepared.flatMap((image) => ('error' in image ? [] : [image.id]));
    const present = new Map(
      (await this.#store.findImages(collection.name, [...new Set(ids)])).map((image) => [image.id, image]),
    );

    const firstUse = new Map<string, PreparedImage>();
    for (const image of prepared) {
      if (!('error' in image) && !firstUse.has(image.id)) firstUse.set(image.id, image);
    }
    const changed = [...firstUse.values()].filter(
      (image) => !isStored(image, present.get(image.id), collection),
    );
    const duplicates = await this.#findDuplicates(collection.name, changed, present, options);
    const outcomes = await this.#makeAndWrite(
      { collection, model },
      changed.filter(({ id }) => !duplicates.has(id)),
      options,
    );
    for (const [id, duplicateOf] of duplicates) {
      const first = outcomes.get(duplicateOf);
      const isLost = first !== undefined && 'error' in first;
      outcomes.set(id, isLost ? { id, error: first.error } : { id, status: 'duplicate', duplicateOf });
    }
    const results = prepared.map((image): PutResult => {
      if ('error' in image) return image;
      const first = firstUse.get(image.id)!;
      if (!isSame(image, first)) return conflicting(image);
      const outcome = outcomes.get(image.id) ?? { id: image.id, status: 'unchanged' };
      return image === first || 'error' in outcome ? outcome : { id: image.id, status: 'unchanged' };
    });
    return { name: collection.name, results };
  }

  get(collection: string, id: string, options?: ImageOptions): Promise<FoundImage> {
    return this.#store.getImage(collection, id, options);
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

  /** Where duplicates are skipped: the new images whose content is there, or comes before in the batch, and under which id. */
  async #findDuplicates(
    collection: string,
    images: readonly PreparedImage[],
    present: ReadonlyMap<string, StoredImage>,
    { onDuplicate }: PutOptions,
  ): Promise<Map<string, string>> {
    const duplicates = new Map<string, string>();
    if (onDuplicate !== 'skip') return duplicates;
    const hashes = images.map(({ contentHash }) => contentHash);
    const known = await this.#store.findContents(collection, hashes);
    const owners = new Map(known.map(({ contentHash, id }) => [contentHash, id]));
    for (const { id, contentHash } of images) {
      const owner = owners.get(contentHash);
      if (owner === undefined) owners.set(contentHash, id);
      else if (!present.has(id)) duplicates.set(id, owner);
    }
    return duplicates;
  }

  /** What became of each image, by id. */
  async #makeAndWrite(
    place: Place,
    images: readonly PreparedImage[],
    { caller, onDuplicate }: PutOptions & { caller?: Caller },
  ): Promise<Map<string, PutResult>> {
    if (images.length === 0) return new Map();
    const made = await place.model.extractor.withPlaces(images.length, () =>
      Promise.all(images.map((image) => this.#make(image, place, caller))),
    );
    const whole: (NewImage | DinoError)[] = [];
    // Outside of the places held above, and one image at a time: their crops need places too.
    for (const [i, image] of made.entries())
      whole.push(await this.#addObjects(image, images[i]!, place, caller));
    const good = whole.filter((image): image is NewImage => !(image instanceof DinoError));
    const { name } = place.collection;
    const written = good.length === 0 ? [] : await this.#store.putImages(name, good, { onDuplicate });
    const results = new Map<string, PutResult>();
    for (const [i, { id, contentHash }] of good.entries()) {
      const status = written[i]!;
      // Stored by another request since it was looked for.
      const found = status === 'duplicate' ? await this.#store.findContents(name, [contentHash]) : [];
      results.set(id, { id, status, ...(found.length > 0 && { duplicateOf: found[0]!.id }) });
    }
    whole.forEach((image, i) => {
      const { id } = images[i]!;
      if (image instanceof DinoError) results.set(id, { id, error: image });
    });
    return results;
  }

  /** As `#make`; where there are no places for its objects, the whole request is to be tried again. */
  async #addObjects(
    made: NewImage | DinoError,
    { bytes, objects }: PreparedImage,
    { model }: Place,
    caller: Caller | undefined,
  ): Promise<NewImage | DinoError> {
    if (made instanceof DinoError || objects === undefined) return made;
    try {
      return { ...made, objects: await this.#objects.of(bytes, model, objects, caller) };
    } catch (error) {
      const isForAll =
        error instanceof DinoError && ['not-ready', 'overloaded', 'conflict'].includes(error.code);
      if (error instanceof DinoError && !isForAll) return error;
      throw error;
    }
  }

  /** Returns, not throws, what is wrong with this image alone: the others of its batch go on. */
  async #make(
    image: PreparedImage,
    { collection, model }: Place,
    caller: Caller | undefined,
  ): Promise<NewImage | DinoError> {
    try {
      const [embedding, thumbnail] = await Promise.all([
        this.#embeddings.embedPlaced(image.bytes, model, caller),
        collection.thumbnails ? this.#reader.thumbnail(image.bytes, caller) : undefined,
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
        modelFingerprint: model.fingerprint,
      };
    } catch (error) {
      // Where the model has gone the others fail too, and the client tries the whole request again.
      if (error instanceof DinoError && error.code !== 'not-ready') return error;
      throw error;
    }
  }
}

interface Place {
  readonly collection: Collection;
  readonly model: Model;
}

interface PreparedImage {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly metadata: Metadata;
  /** The metadata as JSON, the same for any order of fields. */
  readonly canonicalMetadata: string;
  readonly contentHash: string;
  readonly objects: ObjectSetting | undefined;
}

async function prepare(image: ImageToPut): Promise<PreparedImage | { id: string | null; error: DinoError }> {
  // Hashed on another thread: a large file would hold up the event loop.
  const contentHash = await sha256(image.bytes);
  const id = image.id ?? contentHash;
  try {
    validateImageId(id);
    const canonical = canonicalMetadata(encodeMetadata(image.metadata));
    const { bytes, metadata } = image;
    const objects = image.objects && validateObjectSetting(image.objects);
    return { id, bytes, metadata, canonicalMetadata: canonical, contentHash, objects };
  } catch (error) {
    if (error instanceof DinoError) return { id: image.id ?? null, error };
    throw error;
  }
}

function isSame(image: PreparedImage, other: PreparedImage): boolean {
  return (
    image.contentHash === other.contentHash &&
    image.canonicalMetadata === other.canonicalMetadata &&
    isSameSetting(image.objects, other.objects)
  );
}

/** Whether it would change nothing, what the collection keeps of its images included. */
function isStored(
  image: PreparedImage,
  stored: StoredImage | undefined,
  { content, thumbnails }: Collection,
): boolean {
  return (
    stored !== undefined &&
    (stored.hasOriginal || content !== 'original') &&
    (stored.hasThumbnail || !thumbnails) &&
    stored.contentHash === image.contentHash &&
    isSameSetting(stored.objects, image.objects) &&
    canonicalMetadata(JSON.stringify(stored.metadata)) === image.canonicalMetadata
  );
}

/** A second image under an id of the same batch: nobody can know which was meant. */
function conflicting({ id }: PreparedImage): PutResult {
  const detail = `The id ${id} occurs twice in this request, with different images.`;
  return { id, error: new DinoError('conflict', detail) };
}
