import createFetchClient, { type Client } from 'openapi-fetch';
import { DinoClientError } from './dino-client-error.js';
import type {
  Alias,
  AttentionMaps,
  AttentionOptions,
  AttentionPictureOptions,
  BatchResult,
  Classification,
  ClassifyOptions,
  Collection,
  CollectionChanges,
  CollectionSettings,
  CosegmentationOptions,
  CorrespondenceOptions,
  Correspondences,
  DuplicateOptions,
  Embeddings,
  EmbeddingsWithTokens,
  Explanation,
  ExplainPictureOptions,
  Facets,
  FeatureOptions,
  Filter,
  FoundCosegmentation,
  FoundMasks,
  Job,
  JobState,
  ImageBytes,
  ImageSource,
  ImageToStore,
  BatchOptions,
  PutOptions,
  ListOptions,
  MaskOptions,
  MaskPictureOptions,
  MatchOptions,
  Metadata,
  MetadataValue,
  Model,
  PutImageResult,
  SearchAnswer,
  SearchBatchAnswer,
  SearchOptions,
  SearchQuery,
  Snapshot,
  SnapshotVerification,
  StoredImage,
  UnusableModel,
  VectorToStore,
} from './resources.js';
import {
  batchBody,
  decodeVector,
  filterText,
  formBody,
  imageBody,
  imagesBody,
  isStored,
  rawBody,
  searchBody,
  vectorToBase64,
} from './request-bodies.js';
export { decodeVector } from './request-bodies.js';
import { pollJob } from './poll-job.js';
import { retryDelayMs, wait } from './retry-delay.js';
import type { paths } from './schema.js';

export interface ClientOptions {
  /** Where the server is, e.g. `http://127.0.0.1:8080`. */
  readonly url: string;
  /** One of the server's keys, where it has any. */
  readonly apiKey?: string;
  /** How often a call that the server turns away as overloaded (429, 503) is tried again. Default 5. */
  readonly maxRetries?: number;
  /** `bulk`: this client's requests wait while the server has others to answer, as imports do. Default `interactive`. */
  readonly priority?: 'interactive' | 'bulk';
  /** Ends every call in progress, with the signal's reason as the error. */
  readonly signal?: AbortSignal;
}

/** A client of one dino-server, for Node and browsers. */
export function createClient(options: ClientOptions): DinoClient {
  return new DinoClient(options);
}

/**
 * The server's operations, one method each. Every method throws {@link DinoClientError}. All of them may safely be
 * tried again: the server refuses overload before it does anything.
 */
export class DinoClient {
  readonly url: string;
  readonly #api: Client<paths>;
  readonly #maxRetries: number;
  readonly #signal: AbortSignal | undefined;

  constructor({ url, apiKey, priority, maxRetries = 5, signal }: ClientOptions) {
    this.url = url.replace(/\/+$/, '');
    this.#maxRetries = maxRetries;
    this.#signal = signal;
    const headers = {
      ...(apiKey === undefined ? {} : { Authorization: `Bearer ${apiKey}` }),
      // RFC 9218: the background.
      ...(priority === 'bulk' ? { Priority: 'u=7' } : {}),
    };
    this.#api = createFetchClient<paths>({ baseUrl: this.url, headers, signal });
  }

  /** Whether a dino-server answers at the URL; never throws for one that does not. */
  async isAlive(): Promise<boolean> {
    try {
      const { data } = await this.#api.GET('/healthz');
      return data?.status === 'alive';
    } catch {
      return false;
    }
  }

  /** All models that are there, loaded or not. */
  async listModels(): Promise<Model[]> {
    return (await this.#call(() => this.#api.GET('/v1/models'))).data.data;
  }

  async getModel(name: string): Promise<Model> {
    return (await this.#call(() => this.#api.GET('/v1/models/{name}', { params: { path: { name } } }))).data;
  }

  /** Folders among the server's models that can't be used, and why. */
  async listUnusableModels(): Promise<UnusableModel[]> {
    return (await this.#call(() => this.#api.GET('/v1/models'))).data.unusable;
  }

  /** Loads a model and waits until it is ready. */
  async loadModel(name: string): Promise<Model> {
    const params = { path: { name } };
    return (await this.#call(() => this.#api.POST('/v1/models/{name}/load', { params }))).data;
  }

  /** Waits for the requests that use the model, and for its memory to be given back. */
  async unloadModel(name: string): Promise<Model> {
    const params = { path: { name } };
    return (await this.#call(() => this.#api.POST('/v1/models/{name}/unload', { params }))).data;
  }

  /** Deletes an installed model's files. */
  async deleteModel(name: string): Promise<void> {
    const params = { path: { name } };
    await this.#call(() => this.#api.DELETE('/v1/models/{name}', { params }));
  }

  async listCollections(): Promise<Collection[]> {
    return (await this.#call(() => this.#api.GET('/v1/collections'))).data.collections;
  }

  async getCollection(collection: string): Promise<Collection> {
    const params = { path: { collection } };
    return (await this.#call(() => this.#api.GET('/v1/collections/{collection}', { params }))).data;
  }

  /** Creates a collection, or confirms the one that is there. */
  async createCollection(
    collection: string,
    settings: CollectionSettings = {},
  ): Promise<{ collection: Collection; created: boolean }> {
    const request = { params: { path: { collection } }, body: settings };
    const { data, response } = await this.#call(() => this.#api.PUT('/v1/collections/{collection}', request));
    return { collection: data, created: response.status === 201 };
  }

  /** Changes the candidates of searches, and what is kept of images stored from now on. */
  async alterCollection(collection: string, changes: CollectionChanges): Promise<Collection> {
    const request = { params: { path: { collection } }, body: changes };
    return (await this.#call(() => this.#api.PATCH('/v1/collections/{collection}', request))).data;
  }

  /** Starts to give a collection another model; `waitForJob` waits for it. */
  async reembedCollection(
    collection: string,
    model: string,
    { dropMissing }: { dropMissing?: boolean } = {},
  ): Promise<Job> {
    const request = { params: { path: { collection } }, body: { model, dropMissing } };
    return (await this.#call(() => this.#api.POST('/v1/collections/{collection}/reembed', request))).data;
  }

  async listAliases(): Promise<Alias[]> {
    return (await this.#call(() => this.#api.GET('/v1/aliases'))).data.aliases;
  }

  async getAlias(alias: string): Promise<Alias> {
    const params = { path: { alias } };
    return (await this.#call(() => this.#api.GET('/v1/aliases/{alias}', { params }))).data;
  }

  /** Makes a name stand for a collection, whatever it stood for. */
  async putAlias(alias: string, collection: string): Promise<{ alias: Alias; created: boolean }> {
    const request = { params: { path: { alias } }, body: { collection } };
    const { data, response } = await this.#call(() => this.#api.PUT('/v1/aliases/{alias}', request));
    return { alias: data, created: response.status === 201 };
  }

  /** The collection stays. */
  async deleteAlias(alias: string): Promise<void> {
    const params = { path: { alias } };
    await this.#call(() => this.#api.DELETE('/v1/aliases/{alias}', { params }));
  }

  async deleteCollection(collection: string): Promise<void> {
    const params = { path: { collection } };
    await this.#call(() => this.#api.DELETE('/v1/collections/{collection}', { params }));
  }

  /** Stores one image; what was there under the id is replaced. */
  async putImage(
    collection: string,
    id: string,
    image: ImageSource,
    metadata: Metadata = {},
    { objects }: PutOptions = {},
  ): Promise<PutImageResult> {
    const path = { collection, id };
    const request = isStored(image)
      ? { params: { path }, body: { image, metadata, objects } }
      : {
          params: { path, query: { metadata: JSON.stringify(metadata), ...inQuery(objects) } },
          ...rawBody(image),
        };
    return (await this.#call(() => this.#api.PUT('/v1/collections/{collection}/images/{id}', request))).data;
  }

  /** Stores a batch: one result per image, in order, each good or not by itself. */
  async putImages(
    collection: string,
    images: readonly ImageToStore[],
    { objects, onDuplicate }: BatchOptions = {},
  ): Promise<BatchResult[]> {
    const items = JSON.stringify(images.map(({ id, metadata }) => ({ id, metadata })));
    const form = formBody(
      images.map(({ image }) => image),
      { items },
    );
    const query = { ...inQuery(objects), onDuplicate };
    const request = { params: { path: { collection }, query }, ...form };
    return (await this.#call(() => this.#api.POST('/v1/collections/{collection}/images', request))).data
      .results;
  }

  /** Stores vectors that were made elsewhere by the collection's model: one result per vector, in order. */
  async putVectors(collection: string, vectors: readonly VectorToStore[]): Promise<BatchResult[]> {
    const items = vectors.map(({ id, vector, metadata }) => ({
      id,
      vector: vectorToBase64(vector),
      metadata,
    }));
    const request = { params: { path: { collection } }, body: { vectors: items } };
    return (await this.#call(() => this.#api.POST('/v1/collections/{collection}/vectors', request))).data
      .results;
  }

  /** Every image of a collection in ascending order of id, fetched in pages. */
  async *listImages(collection: string, options: ListOptions = {}): AsyncGenerator<StoredImage, void> {
    yield* this.#list(collection, options);
  }

  /** The same with their vectors, of unit length. */
  async *listVectors(
    collection: string,
    options: ListOptions = {},
  ): AsyncGenerator<{ image: StoredImage; vector: Float32Array }, void> {
    for await (const { vector, ...image } of this.#list(collection, options, 'base64')) {
      yield { image, vector: decodeVector(vector!) };
    }
  }

  async *#list(
    collection: string,
    { filter, pageSize = 1000 }: ListOptions,
    withVectors?: 'base64',
  ): AsyncGenerator<StoredImage, void> {
    let cursor: string | undefined;
    do {
      const query = { cursor, limit: pageSize, filter: filterText(filter), withVectors };
      const params = { path: { collection }, query };
      const send = () => this.#api.GET('/v1/collections/{collection}/images', { params });
      const page = (await this.#call(send)).data;
      yield* page.images;
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
  }

  /** @param options.withVectors give its vector: as numbers, or as base64, which `decodeVector` reads */
  async getImage(
    collection: string,
    id: string,
    { withVectors }: { readonly withVectors?: 'float' | 'base64' } = {},
  ): Promise<StoredImage> {
    const params = { path: { collection, id }, query: { withVectors } };
    return (await this.#call(() => this.#api.GET('/v1/collections/{collection}/images/{id}', { params })))
      .data;
  }

  /** Sets metadata fields; null removes one, the others stay. */
  async patchImage(
    collection: string,
    id: string,
    metadata: Record<string, MetadataValue | null>,
  ): Promise<StoredImage> {
    const request = { params: { path: { collection, id } }, body: { metadata } };
    return (await this.#call(() => this.#api.PATCH('/v1/collections/{collection}/images/{id}', request)))
      .data;
  }

  async deleteImage(collection: string, id: string): Promise<void> {
    const params = { path: { collection, id } };
    await this.#call(() => this.#api.DELETE('/v1/collections/{collection}/images/{id}', { params }));
  }

  /** The original bytes. */
  async getContent(collection: string, id: string): Promise<Uint8Array> {
    const request = { params: { path: { collection, id } }, parseAs: 'arrayBuffer' } as const;
    const send = () => this.#api.GET('/v1/collections/{collection}/images/{id}/content', request);
    return new Uint8Array((await this.#call(send)).data);
  }

  /** A small WebP. */
  async getThumbnail(collection: string, id: string): Promise<Uint8Array> {
    const request = { params: { path: { collection, id } }, parseAs: 'arrayBuffer' } as const;
    const send = () => this.#api.GET('/v1/collections/{collection}/images/{id}/thumbnail', request);
    return new Uint8Array((await this.#call(send)).data);
  }

  /** The nearest images, nearest first. */
  async search(collection: string, query: SearchQuery, options: SearchOptions = {}): Promise<SearchAnswer> {
    const { query: inQuery, ...body } = searchBody(query, options);
    const request = { params: { path: { collection }, query: inQuery }, ...body };
    return (await this.#call(() => this.#api.POST('/v1/collections/{collection}/search', request))).data;
  }

  /** Several searches at once, 1 to 100: one answer each in order, good or not by itself. */
  async searchMany(
    collection: string,
    searches: readonly (SearchQuery & { readonly options?: SearchOptions })[],
  ): Promise<SearchBatchAnswer> {
    const request = { params: { path: { collection } }, ...(await batchBody(searches)) };
    const send = () => this.#api.POST('/v1/collections/{collection}/search/batch', request);
    return (await this.#call(send)).data;
  }

  /** How many images match a filter; all of them without one. */
  async countImages(collection: string, filter?: Filter): Promise<number> {
    const request = { params: { path: { collection } }, body: { filter } };
    const send = () => this.#api.POST('/v1/collections/{collection}/count', request);
    return (await this.#call(send)).data.count;
  }

  /** The values of a metadata field with the number of images that have each, most frequent first. */
  async facets(
    collection: string,
    field: string,
    options: { readonly filter?: Filter; readonly limit?: number } = {},
  ): Promise<Facets> {
    const request = { params: { path: { collection } }, body: { field, ...options } };
    const send = () => this.#api.POST('/v1/collections/{collection}/facets', request);
    return (await this.#call(send)).data;
  }

  /** Starts a job that finds near-duplicates; once it has succeeded its `result` is a `DuplicateReport`. */
  async findDuplicates(collection: string, options: DuplicateOptions = {}): Promise<Job> {
    const request = { params: { path: { collection } }, body: options };
    const send = () => this.#api.POST('/v1/collections/{collection}/duplicates', request);
    return (await this.#call(send)).data;
  }

  /** What an image shows, by the weighted vote of its nearest labelled neighbours. */
  async classify(collection: string, query: SearchQuery, options: ClassifyOptions): Promise<Classification> {
    const { query: inQuery, ...body } = searchBody(query, options);
    const request = { params: { path: { collection }, query: inQuery }, ...body };
    return (await this.#call(() => this.#api.POST('/v1/collections/{collection}/classify', request))).data;
  }

  /** Unit vectors of images; fails as a whole where one of them is not readable. */
  async embed(images: readonly ImageBytes[], { model }: FeatureOptions = {}): Promise<Embeddings> {
    const query = { model, encoding_format: 'base64' } as const;
    const request = { params: { query }, ...formBody(images, {}) };
    const { data } = await this.#call(() => this.#api.POST('/v1/embeddings', request));
    return { model: data.model, vectors: data.data.map(({ embedding }) => decodeVector(embedding)) };
  }

  /** Unit vectors of images, 8 at most, with the tokens of the patches of the whole images. */
  async embedWithTokens(
    images: readonly ImageBytes[],
    { model, size }: FeatureOptions & { readonly size?: number } = {},
  ): Promise<EmbeddingsWithTokens> {
    const query = { model, size, tokens: true, encoding_format: 'base64' } as const;
    const request = { params: { query }, ...formBody(images, {}) };
    const { data } = await this.#call(() => this.#api.POST('/v1/embeddings', request));
    return {
      model: data.model,
      vectors: data.data.map(({ embedding }) => decodeVector(embedding)),
      tokens: data.data.map(({ tokens }) => ({ ...tokens!, values: decodeVector(tokens!.values as string) })),
    };
  }

  /** Points of two images that belong together, best score first. */
  async correspondences(
    images: readonly [ImageSource, ImageSource],
    options: CorrespondenceOptions = {},
  ): Promise<Correspondences> {
    const request = await imagesBody(images, options);
    return (await this.#call(() => this.#api.POST('/v1/correspondences', request))).data as Correspondences;
  }

  /** Both images side by side with lines between the points that belong together, as a PNG. */
  async correspondencesPicture(
    images: readonly [ImageSource, ImageSource],
    options: CorrespondenceOptions = {},
  ): Promise<Uint8Array> {
    const request = asPng(await imagesBody(images, options));
    return new Uint8Array((await this.#call(() => this.#api.POST('/v1/correspondences', request))).data);
  }

  /** The objects that 2 to 16 images have in common: a mask per image. */
  async cosegmentation(
    images: readonly ImageSource[],
    options: CosegmentationOptions = {},
  ): Promise<FoundCosegmentation> {
    const request = await imagesBody(images, options);
    return (await this.#call(() => this.#api.POST('/v1/cosegmentation', request)))
      .data as FoundCosegmentation;
  }

  /** Why a search for an image found the stored one: where the two agree. */
  async explain(
    collection: string,
    id: string,
    image: ImageSource,
    options: MatchOptions = {},
  ): Promise<Explanation> {
    const { params, ...body } = { params: {}, ...imageBody(image, options) };
    const request = { params: { ...params, path: { collection, id } }, ...body };
    const send = () => this.#api.POST('/v1/collections/{collection}/images/{id}/explain', request);
    return (await this.#call(send)).data as Explanation;
  }

  /** The same as a PNG: query and stored image side by side, bright where they agree. */
  async explainPicture(
    collection: string,
    id: string,
    image: ImageSource,
    options: ExplainPictureOptions = {},
  ): Promise<Uint8Array> {
    const { params, ...body } = { params: {}, ...imageBody(image, options) };
    const request = asPng({ params: { ...params, path: { collection, id } }, ...body });
    const send = () => this.#api.POST('/v1/collections/{collection}/images/{id}/explain', request);
    return new Uint8Array((await this.#call(send)).data);
  }

  /** Self-attention maps as numbers. */
  async attention(image: ImageSource, options: AttentionOptions = {}): Promise<AttentionMaps> {
    const request = imageBody(image, options);
    return (await this.#call(() => this.#api.POST('/v1/attention', request))).data as AttentionMaps;
  }

  /** Self-attention maps as a PNG. */
  async attentionPicture(image: ImageSource, options: AttentionPictureOptions = {}): Promise<Uint8Array> {
    const request = asPng(imageBody(image, options));
    return new Uint8Array((await this.#call(() => this.#api.POST('/v1/attention', request))).data);
  }

  /** Object masks with COCO run lengths. */
  async masks(image: ImageSource, options: MaskOptions = {}): Promise<FoundMasks> {
    const request = imageBody(image, options);
    return (await this.#call(() => this.#api.POST('/v1/masks', request))).data as FoundMasks;
  }

  /** The best mask as a PNG. */
  async maskPicture(image: ImageSource, options: MaskPictureOptions = {}): Promise<Uint8Array> {
    const request = asPng(imageBody(image, options));
    return new Uint8Array((await this.#call(() => this.#api.POST('/v1/masks', request))).data);
  }

  /** Starts to make a snapshot of all collections; the job's result names it. */
  async createSnapshot(): Promise<Job> {
    return (await this.#call(() => this.#api.POST('/v1/snapshots'))).data;
  }

  /** The latest first. */
  async listSnapshots(): Promise<Snapshot[]> {
    return (await this.#call(() => this.#api.GET('/v1/snapshots'))).data.snapshots;
  }

  async getSnapshot(id: string): Promise<Snapshot> {
    const params = { path: { id } };
    return (await this.#call(() => this.#api.GET('/v1/snapshots/{id}', { params }))).data;
  }

  /** The snapshot's tar file, as it arrives; its SHA-256 is in `getSnapshot`. */
  async downloadSnapshot(id: string): Promise<ReadableStream<Uint8Array>> {
    const request = { params: { path: { id } }, parseAs: 'stream' } as const;
    const send = () => this.#api.GET('/v1/snapshots/{id}/content', request);
    return (await this.#call(send)).data as ReadableStream<Uint8Array>;
  }

  /** Has the server read a snapshot from end to end. */
  async verifySnapshot(id: string): Promise<SnapshotVerification> {
    const params = { path: { id } };
    return (await this.#call(() => this.#api.POST('/v1/snapshots/{id}/verify', { params }))).data;
  }

  async deleteSnapshot(id: string): Promise<void> {
    const params = { path: { id } };
    await this.#call(() => this.#api.DELETE('/v1/snapshots/{id}', { params }));
  }

  /** Jobs that wait, run or have finished lately, the latest first. */
  async listJobs(filter: { collection?: string; kind?: string; state?: JobState } = {}): Promise<Job[]> {
    const params = { query: filter };
    return (await this.#call(() => this.#api.GET('/v1/jobs', { params }))).data.jobs;
  }

  async getJob(id: string): Promise<Job> {
    const params = { path: { id } };
    return (await this.#call(() => this.#api.GET('/v1/jobs/{id}', { params }))).data;
  }

  /** Cancels a job that waits or runs; the answer may still say `running`. */
  async cancelJob(id: string): Promise<Job> {
    const params = { path: { id } };
    return (await this.#call(() => this.#api.DELETE('/v1/jobs/{id}', { params }))).data;
  }

  /** Asks for a job until its state is final, and returns it, whatever that is. */
  waitForJob(id: string, onProgress: (job: Job) => void = () => undefined): Promise<Job> {
    return pollJob(() => this.getJob(id), { onProgress, signal: this.#signal });
  }

  /** Sends, and sends again while the server is overloaded. */
  async #call<T>(
    send: () => Promise<{ data?: T; error?: unknown; response: Response }>,
  ): Promise<{ data: T; response: Response }> {
    for (let attempt = 0; ; attempt++) {
      const { data, error, response } = await send().catch((cause: unknown) => {
        this.#signal?.throwIfAborted();
        throw DinoClientError.fromFailure(this.url, cause);
      });
      if (response.ok) return { data: data as T, response };
      const refusal = DinoClientError.fromAnswer(response, error);
      if (!refusal.isOverload || attempt >= this.#maxRetries) throw refusal;
      await wait(retryDelayMs(attempt, refusal.retryAfterSeconds), this.#signal);
    }
  }
}

function asPng<Request extends object>(request: Request & { headers?: Record<string, string> }) {
  return {
    ...request,
    headers: { ...request.headers, Accept: 'image/png' },
    parseAs: 'arrayBuffer',
  } as const;
}

function inQuery(objects: PutOptions['objects']) {
  return objects === undefined ? {} : { objects: objects.method, maxObjects: objects.max };
}
