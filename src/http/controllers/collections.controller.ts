import {
  Body,
  Controller,
  Delete,
  Get,
  OperationId,
  Patch,
  Post,
  Put,
  Response,
  Route,
  SuccessResponse,
  Tags,
} from '@tsoa/runtime';
import type { CollectionService } from '../../collections/collection.service.js';
import type { ReembeddingService } from '../../collections/reembedding.service.js';
import { DinoError } from '../../errors.js';
import type {
  AlterCollectionRequest,
  CollectionListResponse,
  CollectionRequest,
  CollectionResource,
  ReembedRequest,
} from '../dto/collection.dto.js';
import type { JobResource } from '../dto/job.dto.js';
import type { Problem } from '../dto/problem.dto.js';
import { acceptJob } from '../job-answers.js';

@Route('v1/collections')
@Tags('Collections')
export class CollectionsController extends Controller {
  readonly #collections: CollectionService;
  readonly #reembedding: ReembeddingService;

  constructor(parts: { collections: CollectionService; reembedding: ReembeddingService }) {
    super();
    this.#collections = parts.collections;
    this.#reembedding = parts.reembedding;
  }

  /** @summary List the collections */
  @Get()
  @OperationId('listCollections')
  public async listCollections(): Promise<CollectionListResponse> {
    return { collections: await this.#collections.list() };
  }

  /**
   * Creates a collection, or confirms the one that is there: then only the settings that are given are compared.
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

  /**
   * Changes the candidates of searches, and what is kept of images stored from now on; what is there stays.
   * @summary Alter a collection
   */
  @Patch('{collection}')
  @OperationId('alterCollection')
  @Response<Problem>(404, 'It is not there')
  @Response<Problem>(409, 'It is something that never changes, or it is being re-embedded')
  public async alterCollection(
    collection: string,
    @Body() body: AlterCollectionRequest,
  ): Promise<CollectionResource> {
    const { model, m, efConstruction, ...changes } = body;
    await this.#refuseFixed(collection, { model, m, efConstruction });
    return this.#collections.alter(collection, changes);
  }

  /**
   * Gives the collection another model, as a job: vectors are made of the stored originals while searches and writes go
   * on with the model of now; images stored meanwhile are caught up with; then model, vectors and graph are swapped at
   * once. An interrupted one is taken up where it was by the next request for the same model; a cancelled one begins
   * anew. The job's result: `model`, `modelFingerprint`, and the images `embedded`, `resumed` and `dropped`.
   * @summary Re-embed a collection
   */
  @Post('{collection}/reembed')
  @OperationId('reembedCollection')
  @SuccessResponse(202, 'Started')
  @Response<Problem>(404, 'The collection or the model is not there')
  @Response<Problem>(
    409,
    'It is of that model, images lack their original, or it is being re-embedded already',
  )
  public async reembedCollection(collection: string, @Body() body: ReembedRequest): Promise<JobResource> {
    return acceptJob(this, await this.#reembedding.start(collection, body));
  }

  /** @summary Delete a collection with all its images */
  @Delete('{collection}')
  @OperationId('deleteCollection')
  @SuccessResponse(204, 'Deleted')
  @Response<Problem>(404, 'It is not there')
  @Response<Problem>(409, 'It has aliases, or is one')
  public async deleteCollection(collection: string): Promise<void> {
    await this.#collections.delete(collection);
  }

  async #refuseFixed(
    name: string,
    fixed: Pick<AlterCollectionRequest, 'model' | 'm' | 'efConstruction'>,
  ): Promise<void> {
    const collection = await this.#collections.get(name);
    for (const field of ['model', 'm', 'efConstruction'] as const) {
      const wanted = fixed[field];
      if (wanted === undefined || wanted === collection[field]) continue;
      const instead =
        field === 'model'
          ? `POST /v1/collections/${name}/reembed changes the model.`
          : 'It never changes: create another collection with it, import the images there, and swap an alias.';
      throw new DinoError('conflict', `${field} of ${collection.name} is ${collection[field]}. ${instead}`);
    }
  }
}
