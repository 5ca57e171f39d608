import {
  Body,
  Controller,
  Delete,
  Get,
  OperationId,
  Put,
  Response,
  Route,
  SuccessResponse,
  Tags,
} from '@tsoa/runtime';
import type { CollectionService } from '../../collections/collection.service.js';
import type { CollectionListResponse, CollectionRequest, CollectionResource } from '../dto/collection.dto.js';
import type { Problem } from '../dto/problem.dto.js';

@Route('v1/collections')
@Tags('Collections')
export class CollectionsController extends Controller {
  readonly #collections: CollectionService;

  constructor(collections: CollectionService) {
    super();
    this.#collections = collections;
  }

  /** @summary List the collections */
  @Get()
  @OperationId('listCollections')
  public async listCollections(): Promise<CollectionListResponse> {
    return { collections: await this.#collections.list() };
  }

  /**
   * Creates a collection, or confirms the one that is there. Its settings never change.
   * @summary Create a collection
   * @param collection 1 to 100 letters, digits, `.`, `_` or `-`, beginning with a letter or digit
   */
  @Put('{collection}')
  @OperationId('putCollection')
  @SuccessResponse(201, 'Created')
  @Response<CollectionResource>(200, 'It was there with the same settings')
  @Response<Problem>(404, 'The model is not loaded')
  @Response<Problem>(409, 'It is there with other settings')
  public async putCollection(
    collection: string,
    @Body() body?: CollectionRequest,
  ): Promise<CollectionResource> {
    const result = await this.#collections.create(collection, body ?? {});
    this.setStatus(result.created ? 201 : 200);
    return result.collection;
  }

  /** @summary Describe a collection */
  @Get('{collection}')
  @OperationId('getCollection')
  @Response<Problem>(404, 'It is not there')
  public async getCollection(collection: string): Promise<CollectionResource> {
    return this.#collections.get(collection);
  }

  /** @summary Delete a collection with all its images */
  @Delete('{collection}')
  @OperationId('deleteCollection')
  @SuccessResponse(204, 'Deleted')
  @Response<Problem>(404, 'It is not there')
  public async deleteCollection(collection: string): Promise<void> {
    await this.#collections.delete(collection);
  }
}
