import { Body, Controller, OperationId, Post, Queries, Request, Response, Route, Tags } from '@tsoa/runtime';
import type { Request as HttpRequest } from 'express';
import { DinoError } from '../../errors.js';
import type { EmbeddingService } from '../../inference/embedding.service.js';
import type { EmbeddingOptions, EmbeddingRequest, EmbeddingResponse } from '../dto/embedding.dto.js';
import type { Problem } from '../dto/problem.dto.js';
import type { ImageInput } from '../image-input.js';
import { toBase64, toNumbers } from '../responses.js';

@Route('v1/embeddings')
@Tags('Features')
@Response<Problem>(404, 'The model or the stored image is not there')
export class EmbeddingsController extends Controller {
  readonly #embeddings: EmbeddingService;
  readonly #images: ImageInput;
  readonly #maxImages: number;

  constructor(parts: { embeddings: EmbeddingService; images: ImageInput; maxImagesPerRequest: number }) {
    super();
    this.#embeddings = parts.embeddings;
    this.#images = parts.images;
    this.#maxImages = parts.maxImagesPerRequest;
  }

  /**
   * Embeddings of one image or several: the CLS token of the last block, at unit length. The JSON form is OpenAI's,
   * with images in place of text; an image may also come as raw body or as multipart files.
   * @summary Compute embeddings
   */
  @Post()
  @OperationId('createEmbeddings')
  public async createEmbeddings(
    @Request() request: HttpRequest,
    @Queries() query: EmbeddingOptions,
    @Body() body?: EmbeddingRequest,
  ): Promise<EmbeddingResponse> {
    const { input, ...options } = { input: undefined, ...query, ...body };
    const model = await this.#embeddings.model(options.model);
    const dimension = model.manifest.architecture.embedDim;
    if (options.dimensions !== undefined && options.dimensions !== dimension) {
      throw new DinoError(
        'invalid-request',
        `${model.name} makes ${dimension} dimensions, not ${options.dimensions}.`,
      );
    }
    const references = input === undefined || Array.isArray(input) ? input : [input];
    if (references !== undefined && (references.length === 0 || references.length > this.#maxImages)) {
      throw new DinoError(
        'invalid-request',
        `input has ${references.length} images; 1 to ${this.#maxImages} are taken at once.`,
      );
    }
    const images = await this.#images.many(request, references);
    const embedded = await this.#embeddings.embedAll(images, model, request.signal);
    const encode = options.encoding_format === 'base64' ? toBase64 : toNumbers;
    const patches = embedded.reduce((sum, { patches }) => sum + patches, 0);
    return {
      object: 'list',
      model: model.name,
      data: embedded.map(({ vector }, index) => ({ object: 'embedding', index, embedding: encode(vector) })),
      usage: { prompt_tokens: patches, total_tokens: patches },
    };
  }
}
