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
import { DinoError } from '../../errors.js';
import type { CorrespondenceService } from '../../segmentation/correspondence.service.js';
import type {
  CorrespondenceOptions,
  CorrespondenceRequest,
  CorrespondenceResponse,
} from '../dto/correspondence.dto.js';
import type { Problem } from '../dto/problem.dto.js';
import type { ImageInput } from '../image-input.js';
import { sendBytes, wantsPng } from '../responses.js';

const DEFAULTS = { features: 'keys', binned: false, maxPairs: 50, minScore: -1 } as const;

@Route('v1/correspondences')
@Tags('Features')
@Response<Problem>(404, 'The model or a stored image is not there')
export class CorrespondencesController extends Controller {
  readonly #correspondences: CorrespondenceService;
  readonly #images: ImageInput;

  constructor(parts: { correspondences: CorrespondenceService; images: ImageInput }) {
    super();
    this.#correspondences = parts.correspondences;
    this.#images = parts.images;
  }

  /**
   * Points of two images that belong together: patches that are each other's most similar one (best buddies,
   * arXiv:2112.05814). The images come in JSON or as two files of a form. With `Accept: image/png` a picture of both,
   * side by side, with the 200 best pairs drawn.
   * @summary Correspondences of two images
   */
  @Post()
  @OperationId('createCorrespondences')
  @SuccessResponse(200, 'The pairs, or with Accept: image/png a picture of them')
  public async createCorrespondences(
    @Request() request: HttpRequest,
    @Queries() query: CorrespondenceOptions,
    @Body() body?: CorrespondenceRequest,
  ): Promise<CorrespondenceResponse> {
    const options = { ...DEFAULTS, ...query, ...body };
    const [first, second, ...more] = await this.#images.many(request, body?.images);
    if (first === undefined || second === undefined || more.length > 0) {
      const count = first === undefined ? 0 : second === undefined ? 1 : 2 + more.length;
      throw new DinoError('invalid-request', `Send two images, not ${count}.`);
    }
    const images = [first, second] as const;
    const found = await this.#correspondences.find(images, options, request.caller);
    if (wantsPng(request)) {
      const png = await this.#correspondences.picture(images, found);
      // tsoa takes the JSON schema from the return type; the picture's content type is added in openapi/finish.js.
      return sendBytes(this, png, 'image/png') as unknown as CorrespondenceResponse;
    }
    return {
      model: found.model.name,
      images: found.images.map(({ info, grid }) => ({
        width: info.width,
        height: info.height,
        grid: { height: grid.height, width: grid.width },
      })),
      pairs: found.pairs.map(({ score, first, second }) => ({ score, first, second })),
    };
  }
}
