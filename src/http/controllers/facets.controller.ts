import { Body, Controller, OperationId, Post, Response, Route, Tags } from '@tsoa/runtime';
import type { CollectionStore } from '../../collections/collection-store.js';
import type { CountRequest, CountResponse, FacetRequest, FacetResponse } from '../dto/facet.dto.js';
import type { Problem } from '../dto/problem.dto.js';

/** What a collection's metadata holds. */
@Route('v1/collections/{collection}')
@Tags('Search')
@Response<Problem>(404, 'The collection is not there')
export class FacetsController extends Controller {
  readonly #store: CollectionStore;

  constructor(store: CollectionStore) {
    super();
    this.#store = store;
  }

  /**
   * How many images match a filter.
   * @summary Count images
   */
  @Post('count')
  @OperationId('countImages')
  public async countImages(collection: string, @Body() body?: CountRequest): Promise<CountResponse> {
    return { count: await this.#store.countImages(collection, body?.filter) };
  }

  /**
   * The values of a metadata field, and how many images have each.
   * @summary Count the values of a field
   */
  @Post('facets')
  @OperationId('countValues')
  public async countValues(collection: string, @Body() body: FacetRequest): Promise<FacetResponse> {
    return this.#store.facets(collection, { ...body, limit: body.limit ?? 100 });
  }
}
