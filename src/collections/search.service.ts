import type { Caller } from '../caller.js';
import { DinoError } from '../errors.js';
import type { EmbeddingService } from '../inference/embedding.service.js';
import type { Region, RegionVector } from '../inference/region.js';
import type { Model } from '../models/model-registry.js';
import { againAfterChange } from './again-after-change.js';
import type { CollectionService } from './collection.service.js';
import type {
  Collection,
  CollectionStore,
  RankingSettings,
  SearchAnswer,
  SearchHit,
} from './collection-store.js';
import type { Filter } from './filter.js';
import { SearchHits } from './search-hits.js';
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
  | { readonly vector: readonly number[] | Float32Array }
  | { readonly positive: readonly string[]; readonly negative?: readonly string[] };

export interface NeighbourOptions {
  readonly k?: number;
  readonly ef?: number;
  readonly exact?: boolean;
  readonly filter?: Filter;
}

/** Everything about a search but what is looked for; `k` is 10 by default. */
export type SearchSettings = Omit<RankingSettings, 'k'> & { readonly k?: number };

export interface AskedSearch {
  readonly query: Query;
  readonly options: SearchSettings;
}

export interface BatchAnswer {
  /** One per search in order, or what is wrong with it. */
  readonly answers: (SearchHit[] | DinoError)[];
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
  search(
    collectionName: string,
    query: Query,
    options: SearchSettings,
    caller?: Caller,
  ): Promise<SearchAnswer> {
    // All in one call of the store, which is what most of the time goes to.
    if ('id' in query) return this.#store.searchStored(collectionName, query.id, withCount(options));
    return againAfterChange(() => this.#search(collectionName, query, options, caller));
  }

  async #search(
    collectionName: string,
    query: Query,
    options: SearchSettings,
    caller?: Caller,
  ): Promise<SearchAnswer> {
    const { collection, model } = await this.#resolve(collectionName, query);
    const embed: Embed = async (bytes) => {
      const [embedding] = await this.#embeddings.embedAll([bytes], model!, caller);
      return embedding!.vector;
    };
    return {
      hits: SearchHits.of(await this.#find({ collection, model, embed }, query, options, caller)),
      model: collection.model,
    };
  }

  /**
   * Several searches, each by itself good or not. Their images are embedded together.
   *
   * @param asked searches, or what is wrong with them already
   * @throws DinoError not-found for the collection; conflict when an image is asked for and the model is not there;
   *   overloaded and not-ready, after which the whole is to be tried again
   */
  async searchMany(
    collectionName: string,
    asked: readonly (AskedSearch | DinoError)[],
    caller?: Caller,
  ): Promise<BatchAnswer> {
    const ask = () => againAfterChange(() => this.#searchMany(collectionName, asked, caller));
    const answer = await ask();
    const changed = answer.answers.some((each) => each instanceof DinoError && each.code === 'conflict');
    return changed ? ask() : answer;
  }

  async #searchMany(
    collectionName: string,
    asked: readonly (AskedSearch | DinoError)[],
    caller?: Caller,
  ): Promise<BatchAnswer> {
    const image = asked.find((search): search is AskedSearch => 'query' in search && 'image' in search.query);
    const { collection, model } = image
      ? await this.#collections.getWithModel(collectionName)
      : { collection: await this.#collections.get(collectionName), model: undefined };
    const whole = asked.flatMap((search) =>
      'query' in search && 'image' in search.query && search.query.region === undefined ? search.query : [],
    );
    const answer = ({ query, options }: AskedSearch, embed: Embed): Promise<SearchHit[]> =>
      this.#find({ collection, model, embed }, query, options, caller);
    const ask = (embed: Embed) =>
      Promise.all(
        asked.map(async (search) => ('query' in search ? orError(() => answer(search, embed)) : search)),
      );
    const answers =
      whole.length === 0
        ? await ask(noImages)
        : await model!.extractor.withPlaces(whole.length, () =>
            ask(async (bytes) => (await this.#embeddings.embedPlaced(bytes, model!, caller)).vector),
          );
    return { answers, model: collection.model };
  }

  /**
   * Weighted k-NN vote over a metadata field: a neighbour's vote weighs exp(cosine / temperature)
   * (DINO, arXiv:2104.14294, appendix F.1; k 20 and temperature 0.07 are the authors').
   */
  async classify(
    collectionName: string,
    query: Query,
    options: NeighbourOptions & { readonly field: string; readonly temperature?: number },
    caller?: Caller,
  ): Promise<Classification> {
    const { field, temperature = 0.07, k = 20, filter, ...rest } = options;
    const labelled: Filter = { field, exists: true };
    const both = filter === undefined ? labelled : { and: [labelled, filter] };
    const { hits, model } = await this.search(collectionName, query, { ...rest, k, filter: both }, caller);
    return { ...vote(hits.list(), field, temperature), model };
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

  async #find(
    place: SearchedPlace,
    query: Query,
    options: SearchSettings,
    caller: Caller | undefined,
  ): Promise<SearchHit[]> {
    const { name, modelFingerprint } = place.collection;
    if ('id' in query)
      return (await this.#store.searchStored(name, query.id, withCount(options))).hits.list();
    const { vector, excludeIds } = await this.#vector(place, query, caller);
    return this.#store.search(name, { ...withCount(options), vector, modelFingerprint, excludeIds });
  }

  async #vector(
    { collection: { name: collection, dimension }, model, embed }: SearchedPlace,
    query: Exclude<Query, { id: string }>,
    caller: Caller | undefined,
  ): Promise<{ vector: Float32Array; excludeIds?: readonly string[] }> {
    if ('image' in query) {
      const { region, regionVector: by = 'crop' } = query;
      if (region === undefined) return { vector: await embed(query.image) };
      const options = { region, by };
      return { vector: await this.#embeddings.embedRegion(query.image, model!, options, caller) };
    }
    if ('vector' in query)
      return { vector: toUnitVector(Float32Array.from(query.vector), dimension, 'The vector') };
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

function withCount(options: SearchSettings): RankingSettings {
  return { ...options, k: options.k ?? 10 };
}

/** The embedding of a whole image. */
type Embed = (image: Uint8Array) => Promise<Float32Array>;

const noImages: Embed = () => Promise.reject(new Error('an image where none was expected'));

interface SearchedPlace {
  readonly collection: Collection;
  /** There where an image is looked for. */
  readonly model: Model | undefined;
  readonly embed: Embed;
}

/**
 * The outcome of one of several attempts: returns, not throws, what is wrong with this one alone. Where the service
 * is overloaded or the model has gone the others fail too, and the client tries the whole request again.
 */
export async function orError<T>(attempt: () => Promise<T>): Promise<T | DinoError> {
  try {
    return await attempt();
  } catch (error) {
    if (error instanceof DinoError && error.code !== 'overloaded' && error.code !== 'not-ready') return error;
    throw error;
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
