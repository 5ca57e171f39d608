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
import type { AliasListResponse, AliasRequest, AliasResource } from '../dto/collection.dto.js';
import type { Problem } from '../dto/problem.dto.js';

@Route('v1/aliases')
@Tags('Collections')
export class AliasesController extends Controller {
  readonly #collections: CollectionService;

  constructor(collections: CollectionService) {
    super();
    this.#collections = collections;
  }

  /** @summary List the aliases */
  @Get()
  @OperationId('listAliases')
  public async listAliases(): Promise<AliasListResponse> {
    return { aliases: await this.#collections.listAliases() };
  }

  /**
   * Makes a name stand for a collection wherever a collection is named, whatever it stood for: from one moment to the
   * next, and no request in between fails.
   * @summary Create or swap an alias
   * @param alias a name as collections have it, and that none of them has
   */
  @Put('{alias}')
  @OperationId('putAlias')
  @SuccessResponse(201, 'Created')
  @Response<AliasResource>(200, 'It stands for this collection from now on')
  @Response<Problem>(404, 'The collection is not there')
  @Response<Problem>(409, 'A collection has this name, or the target is an alias')
  public async putAlias(alias: string, @Body() body: AliasRequest): Promise<AliasResource> {
    const result = await this.#collections.putAlias(alias, body.collection);
    this.setStatus(result.created ? 201 : 200);
    return result.alias;
  }

  /** @summary What an alias stands for */
  @Get('{alias}')
  @OperationId('getAlias')
  @Response<Problem>(404, 'It is not there')
  public async getAlias(alias: string): Promise<AliasResource> {
    return this.#collections.getAlias(alias);
  }

  /** @summary Delete an alias; its collection stays */
  @Delete('{alias}')
  @OperationId('deleteAlias')
  @SuccessResponse(204, 'Deleted')
  @Response<Problem>(404, 'It is not there')
  public async deleteAlias(alias: string): Promise<void> {
    await this.#collections.deleteAlias(alias);
  }
}
