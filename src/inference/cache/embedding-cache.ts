import { LRUCache } from 'lru-cache';
import type { ImageEmbedding } from '../image-embedding.js';
import { RECORD_OVERHEAD, type EmbeddingLog } from './embedding-log.js';

/** `hit`: it was there. `shared`: another request was making it. `miss`: it was made. */
export type CacheOutcome = 'hit' | 'shared' | 'miss';

export interface EmbeddingCacheOptions {
  /** Memory for embeddings; those used longest ago go first. */
  readonly maxBytes: number;
  /** Keeps them on disk, too. */
  readonly log?: EmbeddingLog;
  readonly observe?: (outcome: CacheOutcome) => void;
}

interface Making {
  readonly embedding: Promise<ImageEmbedding>;
  /** Of whoever began it. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Embeddings that were made before, by a key of the image's content and of everything else that their numbers depend on.
 * The same image again costs neither decoding nor inference, and requests that come together share both. What failed is not
 * remembered.
 */
export class EmbeddingCache {
  readonly #options: EmbeddingCacheOptions;
  readonly #kept: LRUCache<string, ImageEmbedding>;
  readonly #making = new Map<string, Making>();

  constructor(options: EmbeddingCacheOptions) {
    this.#options = options;
    this.#kept = new LRUCache({
      maxSize: options.maxBytes,
      sizeCalculation: ({ vector }) => vector.byteLength + RECORD_OVERHEAD,
    });
  }

  /** Takes in what is on disk. */
  async load(): Promise<void> {
    for (const [key, embedding] of (await this.#options.log?.load()) ?? []) this.#kept.set(key, embedding);
  }

  get entries(): number {
    return this.#kept.size;
  }

  /** Memory of the embeddings, in bytes. */
  get bytes(): number {
    return this.#kept.calculatedSize;
  }

  /** A copy of the embedding with this key, if it is there. */
  find(key: string): ImageEmbedding | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    this.#options.observe?.('hit');
    return copyOf(kept);
  }

  /**
   * The embedding with this key: the one that is there, the one that is being made, or what `make` makes.
   *
   * @param signal the caller's; when whoever makes it has gone, those who share it make it anew
   * @throws whatever `make` throws
   */
  async get(
    key: string,
    make: () => Promise<ImageEmbedding>,
    signal: AbortSignal | undefined,
  ): Promise<ImageEmbedding> {
    for (;;) {
      const found = this.find(key);
      if (found !== undefined) return found;
      const making = this.#making.get(key);
      if (making === undefined) return copyOf(await this.#make(key, make, signal));
      try {
        const embedding = await making.embedding;
        this.#options.observe?.('shared');
        return copyOf(embedding);
      } catch (error) {
        if (making.signal?.aborted !== true) throw error;
        signal?.throwIfAborted();
      }
    }
  }

  /** Waits until what is kept is on disk. */
  async close(): Promise<void> {
    await this.#options.log?.close();
  }

  #make(
    key: string,
    make: () => Promise<ImageEmbedding>,
    signal: AbortSignal | undefined,
  ): Promise<ImageEmbedding> {
    this.#options.observe?.('miss');
    const embedding = make()
      .then((made) => {
        this.#kept.set(key, made);
        this.#options.log?.append(key, made, () => this.#kept.entries());
        return made;
      })
      .finally(() => this.#making.delete(key));
    this.#making.set(key, { embedding, signal });
    return embedding;
  }
}

/** Nobody's change of a vector changes another's. */
function copyOf(embedding: ImageEmbedding): ImageEmbedding {
  return { ...embedding, vector: embedding.vector.slice() };
}
