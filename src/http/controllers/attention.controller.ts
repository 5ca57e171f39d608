import type { Readable } from 'node:stream';
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
import { pickHead, type AttentionService } from '../../segmentation/attention.service.js';
import type { Problem } from '../dto/problem.dto.js';
import type { AttentionOptions, AttentionRequest, AttentionResponse } from '../dto/segmentation.dto.js';
import type { ImageInput } from '../image-input.js';
import { sendJson } from '../json-stream.js';
import { sendBytes, toBase64, wantsPng } from '../responses.js';

@Route('v1/attention')
@Tags('Features')
@Response<Problem>(404, 'The model or the stored image is not there')
export class AttentionController extends Controller {
  readonly #attention: AttentionService;
  readonly #images: ImageInput;

  constructor(parts: { attention: AttentionService; images: ImageInput }) {
    super();
    this.#attention = parts.attention;
    this.#images = parts.images;
  }

  /**
   * What the CLS token of the last block looks at, per head: numbers, or with `Accept: image/png` a heat map of one
   * head, of all heads side by side, or over the image. With `rollout` one map of the attention over all blocks.
   * @summary Self-attention maps
   */
  @Post()
  @OperationId('createAttention')
  @SuccessResponse(200, 'The maps, or with Accept: image/png a picture of them')
  public async createAttention(
    @Request() request: HttpRequest,
    @Queries() query: AttentionOptions,
    @Body() body?: AttentionRequest,
  ): Promise<AttentionResponse> {
    const options = { ...query, ...body };
    const { model, size, rollout, head = 'all', overlay = false, opacity = 0.6 } = options;
    if (rollout && head !== 'all') {
      throw new DinoError(
        'invalid-request',
        'A rollout is one map of all heads: leave out head, or rollout.',
      );
    }
    const bytes = await this.#images.one(request, body?.image);
    const maps = await this.#attention.compute(bytes, { model, size, rollout }, request.caller);
    const rows = head === 'all' ? maps.heads : [pickHead(maps.heads, head)];
    if (wantsPng(request)) {
      const picture = await this.#attention.picture(bytes, maps, { head, overlay, opacity });
      return asAnswer(sendBytes(this, picture, 'image/png'));
    }
    const { grid, info } = maps;
    return sendJson<AttentionResponse>(this, {
      model: maps.model.name,
      heads: maps.model.manifest.architecture.heads!,
      grid: { height: grid.height, width: grid.width },
      width: info.width,
      height: info.height,
      attention: options.encoding_format === 'base64' ? rows.map(toBase64) : rows,
    });
  }
}

/** tsoa takes the JSON schema from the return type; the picture's content type is added in tsoa.json. */
function asAnswer(picture: Readable): AttentionResponse {
  return picture as unknown as AttentionResponse;
}
