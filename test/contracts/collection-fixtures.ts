import { createHash } from 'node:crypto';
import type {
  Collection,
  CollectionSettings,
  CollectionStore,
  NewImage,
} from '#dino/collections/collection-store.js';
import type { Metadata } from '#dino/collections/filter.js';

/** A store and what the suite needs around it. */
export interface StoreUnderTest {
  /** The store as it is open now. */
  readonly store: CollectionStore;
  /** Closes the store and opens it again on the same data. */
  reopen(): Promise<void>;
  /** Resolves when derived data is complete. */
  settle(): Promise<void>;
  /** Makes a snapshot while the store goes on. */
  snapshot(): Promise<{
    /** What it holds, restored as a store of its own, which the caller closes. */
    open(): Promise<CollectionStore>;
  }>;
  /** Closes the store and removes its data. */
  dispose(): Promise<void>;
}

export type OpenStore = () => Promise<StoreUnderTest>;

/** Numbers in 0..1 that are the same in every run (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export const FINGERPRINT = sha256('a model');

export function settings(overrides: Partial<CollectionSettings> = {}): CollectionSettings {
  return {
    model: 'dino-vits16',
    modelFingerprint: FINGERPRINT,
    dimension: 4,
    m: 16,
    efConstruction: 100,
    ef: 64,
    content: 'original',
    thumbnails: true,
    ...overrides,
  };
}

let created = 0;

/** A collection that no other test uses. */
export async function newCollection(
  { store }: StoreUnderTest,
  overrides: Partial<CollectionSettings> = {},
): Promise<string> {
  const name = `collection-${++created}`;
  await store.createCollection(name, settings(overrides));
  return name;
}

/** An image whose content, and so its hash, follows from `id`, `vector` and `version`. */
export function image(
  id: string,
  vector: readonly number[] | Float32Array,
  { metadata = {}, version = '' }: { metadata?: Metadata; version?: string } = {},
): NewImage & { readonly content: Uint8Array; readonly thumbnail: Uint8Array } {
  const text = `${id} ${version} ${Array.from(vector).join()}`;
  return {
    id,
    metadata,
    contentHash: sha256(text),
    mediaType: 'image/jpeg',
    width: 640,
    height: 480,
    content: new TextEncoder().encode(text),
    thumbnail: new TextEncoder().encode(`thumbnail of ${text}`),
    vector: Float32Array.from(vector),
  };
}

/** A function that returns vectors around common centres, as real embeddings lie. */
export function createClusteredVectors(
  random: () => number,
  dimension: number,
  clusters: number,
): () => Float32Array {
  const gaussian = (): number => random() + random() + random() + random() - 2;
  const centres = Array.from({ length: clusters }, () => Float32Array.from({ length: dimension }, gaussian));
  return () => {
    const centre = centres[Math.floor(random() * clusters)];
    return centre!.map((element) => element + 0.4 * gaussian());
  };
}

/** Cosine in double precision, as a plain reading of its definition. */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let product = 0;
  let squaresA = 0;
  let squaresB = 0;
  for (let i = 0; i < a.length; i++) {
    product += a[i]! * b[i]!;
    squaresA += a[i]! ** 2;
    squaresB += b[i]! ** 2;
  }
  return product / Math.sqrt(squaresA * squaresB);
}

/** Ids by code point: the order of their UTF-8 bytes. */
export function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Everything a client can see of a collection, to show that nothing has changed. */
export async function everything(store: CollectionStore, name: string): Promise<unknown> {
  const collection: Collection = await store.getCollection(name);
  const { images } = await store.listImages(name, { limit: 1000 });
  const vectors = await store.getVectors(
    name,
    images.map(({ id }) => id),
  );
  return { collection, images, vectors };
}
