import type { EmbeddingService } from '../inference/embedding.service.js';
import type { Region, RegionVector } from '../inference/region.js';
import type { Model } from '../models/model-registry.js';
import type { CollectionService } from './collection.service.js';
import type { CollectionStore, SearchHit } from './collection-store.js';
import type { Filter } from './filter.js';
import { toUnitVector } from './unit-vector.js';

/** What to look for: exactly one of these. */
export type Query =
  | {
      readonly image: Uint8Array;
      /** The part of the image to look for; default: all of it. */
      readonly region?: Region;
      /** Default `crop`. */
      readonly regionVector?: RegionVector;
    }
  | { readonly id: string }
  | { readonly vector: readonly number[] }
  | { readonly positive: readonly string[]; readonly negative?: readonly string[] };

export interface NeighbourOptions {
  readonly k?: number;
  readonly ef?: number;
  readonly exact?: boolean;
  readonly filter?: Filter;
}

export interface SearchAnswer {
  readonly hits: SearchHit[];
  readonly model: string;
}

export interface Classification {
  /** Null where no neighbour has the field. */
  readonly label: string | null;
  /** Heaviest first; the weights sum to 1. */
  readonly votes: { label: string; weight: number }[];
  readonly model: string;
}

/** Nearest neighbours, and what they have to say. */
export class SearchService {
  readonly #store: CollectionStore;
  readonly #collections: CollectionService;
  readonly #embeddings: EmbeddingService;

  constructor(parts: {
    store: CollectionStore;
    collections: CollectionService;
    embeddings: EmbeddingService;
  }) {
    this.#store = parts.store;
    this.#collections = parts.collections;
    this.#embeddings = parts.embeddings;
  }

  /** @throws DinoError not-found for a collection or id that is not there, invalid-request for a vector that doesn't fit */
  async search(
    collectionName: string,
    query: Query,
    options: NeighbourOptions & { readonly minScore?: number },
    signal?: AbortSignal,
  ): Promise<SearchAnswer> {
    const { collection, model } = await this.#resolve(collectionName, query);
    const { vector, excludeIds } = await this.#vector(
      collectionName,
      collection.dimension,
      model,
      query,
      signal,
    );
    const hits = await this.#store.search(collectionName, {
      ...options,
      k: options.k ?? 10,
      vector,
      excludeIds,
    });
    return { hits, model: collection.model };
  }

  /**
   * Weighted k-NN vote over a metadata field: a neighbour's vote weighs exp(cosine / temperature)
   * (DINO, arXiv:2104.14294, appendix F.1; k 20 and temperature 0.07 are the authors').
   */
  async classify(
    collectionName: string,
    query: Query,
    options: NeighbourOptions & { readonly field: string; readonly temperature?: number },
    signal?: AbortSignal,
  ): Promise<Classification> {
    const { field, temperature = 0.07, k = 20, filter, ...rest } = options;
    const labelled: Filter = { field, exists: true };
    const both = filter === undefined ? labelled : { and: [labelled, filter] };
    const { hits, model } = await this.search(collectionName, query, { ...rest, k, filter: both }, signal);
    return { ...vote(hits, field, temperature), model };
  }

  /** The model is only needed for an image: ids and vectors can be searched with whatever is loaded. */
  async #resolve(
    name: string,
    query: Query,
  ): Promise<{ collection: Awaited<ReturnType<CollectionStore['getCollection']>>; model?: Model }> {
    return 'image' in query
      ? this.#collections.getWithModel(name)
      : { collection: await this.#collections.get(name) };
  }

  async #vector(
    collection: string,
    dimension: number,
    model: Model | undefined,
    query: Query,
    signal: AbortSignal | undefined,
  ): Promise<{ vector: Float32Array; excludeIds?: readonly string[] }> {
    if ('image' in query) {
      const { region, regionVector: by = 'crop' } = query;
      if (region !== undefined) {
        const options = { region, by };
        return { vector: await this.#embeddings.embedRegion(query.image, model!, options, signal) };
      }
      const [embedding] = await this.#embeddings.embedAll([query.image], model!, signal);
      return { vector: embedding!.vector };
    }
    if ('vector' in query)
      return { vector: toUnitVector(Float32Array.from(query.vector), dimension, 'The vector') };
    if ('id' in query) {
      const [vector] = await this.#store.getVectors(collection, [query.id]);
      return { vector: vector!, excludeIds: [query.id] };
    }
    const { positive, negative = [] } = query;
    const vectors = await this.#store.getVectors(collection, [...positive, ...negative]);
    const towards = mean(vectors.slice(0, positive.length), dimension);
    const away = mean(vectors.slice(positive.length), dimension);
    return {
      vector: toUnitVector(
        towards.map((value, i) => value - away[i]!),
        dimension,
        'The difference of the examples',
      ),
      excludeIds: [...positive, ...negative],
    };
  }
}

/** Of no vectors: zero. */
function mean(vectors: readonly Float32Array[], dimension: number): Float32Array {
  const sum = new Float32Array(dimension);
  for (const vector of vectors) vector.forEach((value, i) => (sum[i]! += value / vectors.length));
  return sum;
}

function vote(hits: readonly SearchHit[], field: string, temperature: number): Omit<Classification, 'model'> {
  const weights = new Map<string, number>();
  const best = hits[0]?.score ?? 0;
  for (const { score, metadata } of hits) {
    // Relative to the best, so that a low temperature does not overflow; the shares stay the same.
    const weight = Math.exp((score - best) / temperature);
    const value = metadata[field]!;
    for (const label of Array.isArray(value) ? value : [value]) {
      weights.set(String(label), (weights.get(String(label)) ?? 0) + weight);
    }
  }
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  const votes = [...weights].map(([label, weight]) => ({ label, weight: weight / total }));
  votes.sort((a, b) => b.weight - a.weight || (a.label < b.label ? -1 : 1));
  return { label: votes[0]?.label ?? null, votes };
}
