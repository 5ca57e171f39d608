import { Body, Controller, OperationId, Post, Queries, Request, Response, Route, Tags } from '@tsoa/runtime';
import type { Request as HttpRequest } from 'express';
import type { Query, SearchService } from '../../collections/search.service.js';
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
import type { Problem } from '../dto/problem.dto.js';
import type { ImageInput } from '../image-input.js';
import { parseFilter, parseRegion } from '../options.js';

@Route('v1/collections/{collection}')
@Tags('Search')
@Response<Problem>(404, 'The collection or the image is not there')
@Response<Problem>(409, "The collection's model is not loaded")
export class SearchController extends Controller {
  readonly #search: SearchService;
  readonly #images: ImageInput;

  constructor(parts: { search: SearchService; images: ImageInput }) {
    super();
    this.#search = parts.search;
    this.#images = parts.images;
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
    const { k, ef, exact, minScore } = { ...query, ...body };
    const options = { k, ef, exact, minScore, filter: filterOf(query, body) };
    const { hits, model } = await this.#search.search(collection, what, options, request.signal);
    return { results: hits, model, tookMs: elapsedMs(started) };
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
    const answer = await this.#search.classify(collection, what, options, request.signal);
    return { ...answer, tookMs: elapsedMs(started) };
  }

  async #query(
    request: HttpRequest,
    query: { id?: string; region?: string; regionVector?: RegionVector },
    body: SearchRequest | ClassifyRequest | undefined,
  ): Promise<Query> {
    const { image, id, vector, positive, negative } = { ...query, ...body } as Partial<SearchRequest>;
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
    if (vector !== undefined) return { vector };
    if (positive !== undefined) {
      if (positive.length === 0)
        throw new DinoError('invalid-request', 'positive is empty: give the id of one image at least.');
      return { positive, negative };
    }
    return { image: await this.#images.one(request, image), region, regionVector };
  }
}

function filterOf(query: { filter?: string }, body: SearchRequest | ClassifyRequest | undefined) {
  return body?.filter === undefined ? parseFilter(query.filter) : validateFilter(body.filter);
}

function elapsedMs(started: number): number {
  return Math.round((performance.now() - started) * 100) / 100;
}
