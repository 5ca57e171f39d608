import { Body, Controller, OperationId, Post, Queries, Request, Response, Route, Tags } from '@tsoa/runtime';
import type { Request as HttpRequest } from 'express';
import { DinoError } from '../../errors.js';
import type { EmbeddingService, PatchTokens } from '../../inference/embedding.service.js';
import type { EmbeddingOptions, EmbeddingRequest, EmbeddingResponse } from '../dto/embedding.dto.js';
import type { Problem } from '../dto/problem.dto.js';
import type { ImageInput } from '../image-input.js';
import { sendJson } from '../json-stream.js';
import { toBase64 } from '../responses.js';

/** Of the largest size, the tokens of so many images are tens of megabytes. */
const MAX_IMAGES_WITH_TOKENS = 8;

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
   * with images in place of text; an image may also come as raw body or as multipart files. With `tokens` each comes
   * with the tokens of its patches, for which the model looks a second time, at the whole image.
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
    assertTokenOptions(options, images.length);
    const [embedded, tokens] = await Promise.all([
      this.#embeddings.embedAll(images, model, request.caller),
      options.tokens === true
        ? this.#embeddings.patchTokensOfAll(images, model, options, request.caller)
        : undefined,
    ]);
    const asText = options.encoding_format === 'base64';
    const patches =
      embedded.reduce((sum, { patches }) => sum + patches, 0) +
      (tokens ?? []).reduce((sum, { grid }) => sum + grid.width * grid.height, 0);
    return sendJson<EmbeddingResponse>(this, {
      object: 'list',
      model: model.name,
      data: embedded.map(({ vector }, index) => ({
        object: 'embedding',
        index,
        embedding: asText ? toBase64(vector) : vector,
        tokens: tokens && describeTokens(tokens[index]!, dimension, asText),
      })),
      usage: { prompt_tokens: patches, total_tokens: patches },
    });
  }
}

/** @throws DinoError invalid-request */
function assertTokenOptions({ tokens, size }: EmbeddingOptions, images: number): void {
  if (tokens !== true && size !== undefined) {
    const detail =
      'size is for tokens: an embedding is always of the square that the model was made for. Add tokens: true.';
    throw new DinoError('invalid-request', detail);
  }
  if (tokens === true && images > MAX_IMAGES_WITH_TOKENS) {
    const detail = `With tokens, ${MAX_IMAGES_WITH_TOKENS} images are taken at once, not ${images}.`;
    throw new DinoError('invalid-request', detail);
  }
}

function describeTokens({ info, grid, tokens }: PatchTokens, dimension: number, asText: boolean) {
  const rows = Array.from({ length: grid.width * grid.height }, (_, patch) =>
    tokens.subarray(patch * dimension, (patch + 1) * dimension),
  );
  return {
    grid: { height: grid.height, width: grid.width },
    width: info.width,
    height: info.height,
    dimension,
    values: asText ? toBase64(tokens) : rows,
  };
}
