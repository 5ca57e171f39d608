import { Body, Controller, OperationId, Post, Queries, Request, Response, Route, Tags } from '@tsoa/runtime';
import type { Request as HttpRequest } from 'express';
import type { SearchHit } from '../../collections/collection-store.js';
import {
  orError,
  type Query,
  type SearchService,
  type SearchSettings,
} from '../../collections/search.service.js';
import { validateFilter } from '../../collections/validate-filter.js';
import { DinoError } from '../../errors.js';
import type { RegionVector } from '../../inference/region.js';
import type {
  ClassifyOptions,
  ClassifyRequest,
  ClassifyResponse,
  SearchOptions,
  SearchRequest,
  SearchResponse,
} from '../dto/collection.dto.js';
import type { VectorEncoding } from '../dto/image.dto.js';
import type { Problem } from '../dto/problem.dto.js';
import type { SearchBatchRequest, SearchBatchResponse } from '../dto/search-batch.dto.js';
import type { ImageInput } from '../image-input.js';
import { sendJson, sendJsonText } from '../json-stream.js';
import { toProblem } from '../middleware/error-handler.js';
import { parseDiversity, parseFilter, parseRegion } from '../options.js';
import { decodeVector, encodeVector } from '../responses.js';

@Route('v1/collections/{collection}')
@Tags('Search')
@Response<Problem>(404, 'The collection or the image is not there')
@Response<Problem>(409, "The collection's model is not loaded")
export class SearchController extends Controller {
  readonly #search: SearchService;
  readonly #images: ImageInput;
  readonly #maxImages: number;

  constructor(parts: { search: SearchService; images: ImageInput; maxImagesPerRequest: number }) {
    super();
    this.#search = parts.search;
    this.#images = parts.images;
    this.#maxImages = parts.maxImagesPerRequest;
  }

  /**
   * The k nearest images by cosine similarity, to an image or a region of it, a stored image, a vector or examples.
   * @summary Search
   */
  @Post('search')
  @OperationId('search')
  public async search(
    collection: string,
    @Request() request: HttpRequest,
    @Queries() query: SearchOptions,
    @Body() body?: SearchRequest,
  ): Promise<SearchResponse> {
    const started = performance.now();
    const what = await this.#query(request, query, body);
    const options = optionsOf(query, body);
    const { hits, model } = await this.#search.search(collection, what, options, request.caller);
    const encoding = body?.withVectors ?? query.withVectors;
    if (encoding === undefined) {
      const tail = `"model":${JSON.stringify(model)},"tookMs":${elapsedMs(started)}`;
      return sendJsonText<SearchResponse>(this, `{"results":${hits.toJson()},${tail}}`);
    }
    const results = describeHits(hits.list(), encoding);
    return sendJson<SearchResponse>(this, { results, model, tookMs: elapsedMs(started) });
  }

  /**
   * Several searches at once; their images go through the model together. Each stands for itself: what is wrong with
   * one is in its place, and the others are answered.
   * @summary Search by a batch of queries
   */
  @Post('search/batch')
  @OperationId('searchBatch')
  public async searchBatch(
    collection: string,
    @Request() request: HttpRequest,
    @Body() body: SearchBatchRequest,
  ): Promise<SearchBatchResponse> {
    const started = performance.now();
    const { queries } = body;
    const images = queries.filter(({ image }) => image !== undefined).length;
    if (images > this.#maxImages) {
      const detail = `There are ${images} query images; ${this.#maxImages} are taken at once.`;
      throw new DinoError('payload-too-large', detail);
    }
    const asked = await Promise.all(
      queries.map((query) =>
        orError(async () => ({
          query: await this.#query(request, {}, query),
          options: optionsOf({}, query),
        })),
      ),
    );
    const { answers, model } = await this.#search.searchMany(collection, asked, request.caller);
    return sendJson<SearchBatchResponse>(this, {
      answers: answers.map((answer, i) =>
        answer instanceof DinoError
          ? { results: [], error: toProblem(answer, request.id) }
          : { results: describeHits(answer, queries[i]!.withVectors) },
      ),
      model,
      tookMs: elapsedMs(started),
    });
  }

  /**
   * What an image shows, by the weighted vote of its nearest labelled neighbours.
   * @summary Classify by k-NN
   */
  @Post('classify')
  @OperationId('classify')
  public async classify(
    collection: string,
    @Request() request: HttpRequest,
    @Queries() query: ClassifyOptions,
    @Body() body?: ClassifyRequest,
  ): Promise<ClassifyResponse> {
    const started = performance.now();
    const { field, k, ef, exact, temperature } = { ...query, ...body };
    if (field === undefined)
      throw new DinoError('invalid-request', 'field is missing: the metadata field that holds the label.');
    const what = await this.#query(request, query, body);
    const options = { field, k, ef, exact, temperature, filter: filterOf(query, body) };
    const answer = await this.#search.classify(collection, what, options, request.caller);
    return { ...answer, tookMs: elapsedMs(started) };
  }

  async #query(
    request: HttpRequest,
    query: { id?: string; region?: string; regionVector?: RegionVector },
    body: SearchRequest | ClassifyRequest | undefined,
  ): Promise<Query> {
    const { image, vector, positive, negative } = (body ?? {}) as Partial<SearchRequest>;
    const id = body?.id ?? query.id;
    const region = parseRegion(body?.region ?? query.region);
    const regionVector = body?.regionVector ?? query.regionVector;
    const given = Object.entries({ image: image ?? request.uploads, id, vector, positive }).filter(
      ([, value]) => value !== undefined,
    );
    if (given.length !== 1) {
      const found = given.length === 0 ? 'none' : given.map(([name]) => name).join(' and ');
      throw new DinoError(
        'invalid-request',
        `Send exactly one of image, id, vector and positive; there is ${found}.`,
      );
    }
    if (negative !== undefined && positive === undefined) {
      throw new DinoError('invalid-request', 'negative needs positive: the images to be close to.');
    }
    if (region !== undefined && given[0]![0] !== 'image') {
      const detail = `region is a part of a query image, but the query is by ${given[0]![0]}. Send the image.`;
      throw new DinoError('invalid-request', detail);
    }
    if (regionVector !== undefined && region === undefined) {
      throw new DinoError('invalid-request', 'regionVector needs region: the part of the image to look for.');
    }
    if (id !== undefined) return { id };
    if (vector !== undefined) return { vector: decodeVector(vector, 'vector') };
    if (positive !== undefined) {
      if (positive.length === 0)
        throw new DinoError('invalid-request', 'positive is empty: give the id of one image at least.');
      return { positive, negative };
    }
    return { image: await this.#images.one(request, image), region, regionVector };
  }
}

function optionsOf(query: SearchOptions, body: SearchRequest | undefined): SearchSettings {
  const given = <Key extends keyof SearchOptions & keyof SearchRequest>(key: Key) =>
    body?.[key] ?? query[key];
  return {
    k: given('k'),
    ef: given('ef'),
    exact: given('exact'),
    minScore: given('minScore'),
    offset: given('offset'),
    suppressDuplicates: given('suppressDuplicates'),
    groupBy: given('groupBy'),
    groupSize: given('groupSize'),
    objects: given('objects'),
    withVectors: given('withVectors') !== undefined,
    diversity: body?.diversity ?? parseDiversity(query.diversity),
    filter: filterOf(query, body),
  };
}

function describeHits(hits: readonly SearchHit[], encoding: VectorEncoding | undefined) {
  if (encoding === undefined) return hits;
  return hits.map(({ vector, ...hit }) => ({ ...hit, vector: encodeVector(vector, encoding) }));
}

function filterOf(query: { filter?: string }, body: SearchRequest | ClassifyRequest | undefined) {
  return body?.filter === undefined ? parseFilter(query.filter) : validateFilter(body.filter);
}

function elapsedMs(started: number): number {
  return Math.round((performance.now() - started) * 100) / 100;
}
