import { Body, Controller, OperationId, Post, Request, Response, Route, Tags } from '@tsoa/runtime';
import type { Request as HttpRequest } from 'express';
import type { VectorService, VectorToPut } from '../../collections/vector.service.js';
import type { BatchResponse } from '../dto/image.dto.js';
import type { Problem } from '../dto/problem.dto.js';
import type { VectorItem, VectorsRequest } from '../dto/vector.dto.js';
import { decodeVector } from '../responses.js';
import { toBatchResult } from './images.controller.js';

@Route('v1/collections/{collection}/vectors')
@Tags('Images')
@Response<Problem>(404, 'The collection is not there')
export class VectorsController extends Controller {
  readonly #vectors: VectorService;

  constructor(vectors: VectorService) {
    super();
    this.#vectors = vectors;
  }

  /**
   * Stores vectors that were made elsewhere by the collection's model, without their images: they are found by searches
   * like the others and have neither content nor thumbnail. Each stands for itself: the good ones are stored in one
   * transaction, the others are named with what is wrong.
   * @summary Store a batch of vectors
   */
  @Post()
  @OperationId('postVectors')
  public async postVectors(
    collection: string,
    @Request() request: HttpRequest,
    @Body() body: VectorsRequest,
  ): Promise<BatchResponse> {
    const results = await this.#vectors.putMany(collection, body.vectors.map(toVector));
    return { results: results.map((result) => toBatchResult(result, request.id)) };
  }
}

function toVector({ id, vector, metadata }: VectorItem, index: number): VectorToPut {
  return { id, vector: decodeVector(vector, `vectors[${index}].vector`), metadata: metadata ?? {} };
}
