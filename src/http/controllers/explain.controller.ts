import {
  Body,
  Controller,
  OperationId,
  Post,
  Queries,
  Request,
  Response,
  Route,
  SuccessResponse,
  Tags,
} from '@tsoa/runtime';
import type { Request as HttpRequest } from 'express';
import type { CollectionService } from '../../collections/collection.service.js';
import type { ImageService } from '../../collections/image.service.js';
import type { Agreement, CorrespondenceService } from '../../segmentation/correspondence.service.js';
import type {
  ExplainedImage,
  ExplainOptions,
  ExplainRequest,
  ExplainResponse,
} from '../dto/correspondence.dto.js';
import type { Problem } from '../dto/problem.dto.js';
import type { ImageInput } from '../image-input.js';
import { sendJson, type NumberRows } from '../json-stream.js';
import { sendBytes, wantsPng } from '../responses.js';

const DEFAULTS = { features: 'patch_tokens', binned: false, opacity: 0.6 } as const;

@Route('v1/collections/{collection}/images/{id}/explain')
@Tags('Search')
@Response<Problem>(404, 'The collection or the image is not there')
@Response<Problem>(409, "The collection's model is not loaded")
export class ExplainController extends Controller {
  readonly #collections: CollectionService;
  readonly #stored: ImageService;
  readonly #correspondences: CorrespondenceService;
  readonly #images: ImageInput;

  constructor(parts: {
    collections: CollectionService;
    stored: ImageService;
    correspondences: CorrespondenceService;
    images: ImageInput;
  }) {
    super();
    this.#collections = parts.collections;
    this.#stored = parts.stored;
    this.#correspondences = parts.correspondences;
    this.#images = parts.images;
  }

  /**
   * Why a search found an image: for every patch of the query and of the stored image, how like it the most similar
   * patch of the other is. With `Accept: image/png` both side by side under heat maps on one scale, the query first.
   * @summary Where a query and a hit agree
   */
  @Post()
  @OperationId('explainImage')
  @SuccessResponse(200, 'The similarities, or with Accept: image/png a picture of them')
  public async explainImage(
    collection: string,
    id: string,
    @Request() request: HttpRequest,
    @Queries() query: ExplainOptions,
    @Body() body?: ExplainRequest,
  ): Promise<ExplainResponse> {
    const options = { ...DEFAULTS, ...query, ...body };
    const { model } = await this.#collections.getWithModel(collection);
    const { bytes: stored } = await this.#stored.content(collection, id);
    const images = [await this.#images.one(request, body?.image), stored] as const;
    const { features, binned, size, opacity } = options;
    const found = await this.#correspondences.agreement(
      images,
      { features, binned, size, model: model.name },
      request.caller,
    );
    if (wantsPng(request)) {
      const png = await this.#correspondences.agreementPicture(images, found, opacity);
      // tsoa takes the JSON schema from the return type; the picture's content type is added in openapi/finish.js.
      return sendBytes(this, png, 'image/png') as unknown as ExplainResponse;
    }
    return sendJson<ExplainResponse>(this, {
      model: model.name,
      query: describe(found, 0),
      hit: describe(found, 1),
    });
  }
}

function describe({ images, scores }: Agreement, at: 0 | 1): NumberRows<ExplainedImage> {
  const { info, grid } = images[at];
  return {
    width: info.width,
    height: info.height,
    grid: { height: grid.height, width: grid.width },
    agreement: scores[at],
  };
}
