import { createHash } from 'node:crypto';
import { DinoError } from '../errors.js';
import type { CollectionStore, NewImage } from './collection-store.js';
import type { Metadata } from './filter.js';
import type { PutResult } from './image.service.js';
import { show } from './input-checks.js';
import { toUnitVector } from './unit-vector.js';
import { encodeMetadata, validateImageId } from './validate-image.js';

export interface VectorToPut {
  readonly id: string;
  /** Any length but zero; as many elements as the collection's dimension. */
  readonly vector: Float32Array;
  readonly metadata: Metadata;
}

/** Media type of what is stored without an image. */
const MEDIA_TYPE = 'application/octet-stream';

/** Vectors that were made elsewhere, stored without their images: found like the others, with nothing to show. */
export class VectorService {
  readonly #store: CollectionStore;

  constructor(store: CollectionStore) {
    this.#store = store;
  }

  /**
   * Stores vectors; each stands for itself, the good ones are stored in one transaction. The same vector and metadata
   * again change nothing.
   *
   * @returns one result per vector, in order
   * @throws DinoError when the collection is not there; then nothing has changed
   */
  async putMany(collectionName: string, vectors: readonly VectorToPut[]): Promise<PutResult[]> {
    const { dimension } = await this.#store.getCollection(collectionName);
    const ids = new Set<string>();
    const prepared = vectors.map((vector) => prepare(vector, dimension, ids));
    const good = prepared.filter((image): image is NewImage => !('error' in image));
    const outcomes = good.length === 0 ? [] : await this.#store.putImages(collectionName, good);
    let at = 0;
    return prepared.map((image) => ('error' in image ? image : { id: image.id, status: outcomes[at++]! }));
  }
}

/** @param ids those met so far */
function prepare(
  { id, vector, metadata }: VectorToPut,
  dimension: number,
  ids: Set<string>,
): NewImage | { id: string; error: DinoError } {
  try {
    validateImageId(id);
    encodeMetadata(metadata);
    if (ids.has(id)) throw new DinoError('conflict', `The id ${show(id)} occurs twice in this request.`);
    ids.add(id);
    const unit = toUnitVector(vector, dimension, `The vector of ${show(id)}`);
    const contentHash = createHash('sha256').update(new Uint8Array(unit.buffer)).digest('hex');
    return { id, metadata, contentHash, mediaType: MEDIA_TYPE, width: 0, height: 0, vector: unit };
  } catch (error) {
    if (error instanceof DinoError) return { id, error };
    throw error;
  }
}
