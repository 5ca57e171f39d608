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
import type { CosegmentationService } from '../../segmentation/cosegmentation.service.js';
import type { PhotoMasks } from '../../segmentation/photo-masks.js';
import { cocoDocument, type CocoSource } from '../coco-document.js';
import type {
  CosegmentationOptions,
  CosegmentationRequest,
  CosegmentationResponse,
} from '../dto/cosegmentation.dto.js';
import type { Problem } from '../dto/problem.dto.js';
import type { CocoDocument } from '../dto/segmentation.dto.js';
import type { ImageInput } from '../image-input.js';
import { describeMasks } from '../mask-forms.js';

const DEFAULTS = { refine: 'none', format: 'rle', picture: 'mask' } as const;

@Route('v1/cosegmentation')
@Tags('Features')
@Response<Problem>(404, 'The model or a stored image is not there')
export class CosegmentationController extends Controller {
  readonly #cosegmentation: CosegmentationService;
  readonly #photoMasks: PhotoMasks;
  readonly #images: ImageInput;

  constructor(parts: { cosegmentation: CosegmentationService; photoMasks: PhotoMasks; images: ImageInput }) {
    super();
    this.#cosegmentation = parts.cosegmentation;
    this.#photoMasks = parts.photoMasks;
    this.#images = parts.images;
  }

  /**
   * The objects that 2 to 16 images have in common (arXiv:2112.05814): the patches of all images fall into clusters
   * together, and those clusters are taken that the CLS token looks at in enough images. The images come in JSON or as
   * files of a form.
   * @summary Common objects of a few images
   */
  @Post()
  @OperationId('createCosegmentation')
  @SuccessResponse(200, 'A mask per image')
  public async createCosegmentation(
    @Request() request: HttpRequest,
    @Queries() query: CosegmentationOptions,
    @Body() body?: CosegmentationRequest,
  ): Promise<CosegmentationResponse | CocoDocument> {
    const { format, picture, ...options } = { ...DEFAULTS, ...query, ...body };
    const bytes = await this.#images.many(request, body?.images);
    const found = await this.#cosegmentation.find(bytes, options, request.caller);
    const form = format === 'coco' ? 'rle' : format;
    const images: CocoSource[] = [];
    for (const [index, image] of found.images.entries()) {
      const { width, height } = image.info;
      const masks = await describeMasks(image, { form, picture }, this.#photoMasks);
      images.push({ fileName: nameOf(request, body, index), width, height, masks });
    }
    if (format === 'coco') return cocoDocument(images);
    return {
      model: found.model.name,
      clusters: found.clusters,
      images: images.map(({ width, height, masks }) => ({ width, height, masks: [...masks] })),
    };
  }
}

/** What the client calls an image; empty where it came without a name. */
function nameOf(request: HttpRequest, body: CosegmentationRequest | undefined, index: number): string {
  const reference = body?.images[index];
  if (typeof reference === 'object') return reference.id;
  return request.uploads?.[index]?.name ?? '';
}
