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
import type { FoundMask, MaskService } from '../../segmentation/mask.service.js';
import type { Problem } from '../dto/problem.dto.js';
import type { Mask, MaskOptions, MaskRequest, MaskResponse } from '../dto/segmentation.dto.js';
import type { ImageInput } from '../image-input.js';
import { sendBytes, wantsPng } from '../responses.js';

const DEFAULTS = {
  method: 'attention',
  head: 'best',
  threshold: 0.6,
  tau: 0.2,
  format: 'rle',
  picture: 'mask',
} as const;

@Route('v1/masks')
@Tags('Features')
@Response<Problem>(404, 'The model or the stored image is not there')
export class MasksController extends Controller {
  readonly #masks: MaskService;
  readonly #images: ImageInput;

  constructor(parts: { masks: MaskService; images: ImageInput }) {
    super();
    this.#masks = parts.masks;
    this.#images = parts.images;
  }

  /**
   * Object masks without any training on masks: from the CLS token's attention (DINO, arXiv:2104.14294), or from the
   * patches' keys (TokenCut, LOST). With `Accept: image/png` the first mask as a picture alone.
   * @summary Object masks
   */
  @Post()
  @OperationId('createMasks')
  @SuccessResponse(200, 'The masks, or with Accept: image/png a picture of the first')
  public async createMasks(
    @Request() request: HttpRequest,
    @Queries() query: MaskOptions,
    @Body() body?: MaskRequest,
  ): Promise<MaskResponse> {
    const options = { ...DEFAULTS, ...query, ...body };
    const bytes = await this.#images.one(request, body?.image);
    const found = await this.#masks.find(bytes, options, request.signal);
    if (wantsPng(request)) {
      const png = await this.#masks.picture(bytes, found, options.picture);
      // tsoa takes the JSON schema from the return type; the picture's content type is added in tsoa.json.
      return sendBytes(this, png, 'image/png') as unknown as MaskResponse;
    }
    const { width, height } = found.info;
    return {
      model: found.model.name,
      method: options.method,
      width,
      height,
      masks: await Promise.all(found.masks.map((mask) => this.#describe(mask, options.format))),
    };
  }

  async #describe(mask: FoundMask, format: 'rle' | 'png'): Promise<Mask> {
    const { score, area, bbox, head, reason } = mask;
    const common = { score, area, bbox: [...bbox], head, reason };
    if (format === 'rle') return { ...common, rle: this.#masks.runLengths(mask) };
    const png = await this.#masks.binaryPng(mask);
    return { ...common, png: `data:image/png;base64,${Buffer.from(png).toString('base64')}` };
  }
}
