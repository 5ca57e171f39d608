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
import type { MaskService } from '../../segmentation/mask.service.js';
import type { PhotoMasks } from '../../segmentation/photo-masks.js';
import type { Box, Point } from '../../segmentation/prompt-place.js';
import { cocoDocument } from '../coco-document.js';
import type { Problem } from '../dto/problem.dto.js';
import type { CocoDocument, MaskOptions, MaskRequest, MaskResponse } from '../dto/segmentation.dto.js';
import type { ImageInput } from '../image-input.js';
import { describeMasks } from '../mask-forms.js';
import { parseNumbers } from '../options.js';
import { sendBytes, wantsPng } from '../responses.js';

const DEFAULTS = {
  head: 'best',
  threshold: 0.6,
  refine: 'none',
  format: 'rle',
  picture: 'mask',
} as const;

@Route('v1/masks')
@Tags('Features')
@Response<Problem>(404, 'The model or the stored image is not there')
export class MasksController extends Controller {
  readonly #masks: MaskService;
  readonly #photoMasks: PhotoMasks;
  readonly #images: ImageInput;

  constructor(parts: { masks: MaskService; photoMasks: PhotoMasks; images: ImageInput }) {
    super();
    this.#masks = parts.masks;
    this.#photoMasks = parts.photoMasks;
    this.#images = parts.images;
  }

  /**
   * Object masks without any training on masks: from the CLS token's attention (DINO, arXiv:2104.14294), or from the
   * patches' keys (TokenCut, LOST, MaskCut, Deep Spectral Methods), also of the object under a point or in a box.
   * With `Accept: image/png` the first mask as a picture alone.
   * @summary Object masks
   */
  @Post()
  @OperationId('createMasks')
  @SuccessResponse(200, 'The masks, or with Accept: image/png a picture of the first')
  public async createMasks(
    @Request() request: HttpRequest,
    @Queries() query: MaskOptions,
    @Body() body?: MaskRequest,
  ): Promise<MaskResponse | CocoDocument> {
    const { format, picture, point, box, ...options } = { ...DEFAULTS, ...query, ...body };
    const prompts = {
      point: point === undefined ? undefined : (parseNumbers('point', 'x,y', point) as unknown as Point),
      box: box === undefined ? undefined : (parseNumbers('box', 'x,y,width,height', box) as unknown as Box),
    };
    const bytes = await this.#images.one(request, body?.image);
    const found = await this.#masks.find(bytes, { ...options, ...prompts }, request.caller);
    const { info } = found;
    if (wantsPng(request)) {
      const png = await this.#photoMasks.picture({ bytes, info }, found.masks[0], picture);
      // tsoa takes the JSON schema from the return type; the picture's content type is added in tsoa.json.
      return sendBytes(this, png, 'image/png') as unknown as MaskResponse;
    }
    const { width, height } = info;
    const form = format === 'coco' ? 'rle' : format;
    const masks = await describeMasks({ ...found, bytes }, { form, picture: 'mask' }, this.#photoMasks);
    if (format === 'coco') return cocoDocument([{ fileName: nameOf(request, body), width, height, masks }]);
    return { model: found.model.name, method: found.method, width, height, masks };
  }
}

/** What the client calls the image; empty where it came without a name. */
function nameOf(request: HttpRequest, body: MaskRequest | undefined): string {
  if (typeof body?.image === 'object') return body.image.id;
  return request.uploads?.[0]?.name ?? '';
}
