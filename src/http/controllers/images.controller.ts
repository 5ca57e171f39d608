import {
  Body,
  Controller,
  Delete,
  Get,
  OperationId,
  Patch,
  Post,
  Put,
  Queries,
  Query,
  Request,
  Response,
  Route,
  SuccessResponse,
  Tags,
} from '@tsoa/runtime';
import type { Request as HttpRequest } from 'express';
import type { Readable } from 'node:stream';
import type { ImageService, ImageToPut, PutResult } from '../../collections/image.service.js';
import { validateObjectSetting } from '../../collections/validate-objects.js';
import { DinoError } from '../../errors.js';
import { isNotModified, NO_BODY } from '../conditional.js';
import { objectSetting, parseBatchItems, parseFilter, parseMetadata } from '../options.js';
import type {
  BatchOptions,
  BatchRequest,
  BatchResponse,
  BatchResult,
  ImageListResponse,
  ImageResource,
  PatchImageRequest,
  PutImageOptions,
  PutImageRequest,
  PutImageResponse,
  VectorEncoding,
} from '../dto/image.dto.js';
import type { Problem } from '../dto/problem.dto.js';
import type { ImageInput } from '../image-input.js';
import { sendJson } from '../json-stream.js';
import { toProblem } from '../middleware/error-handler.js';
import { encodeVector, sendBytes } from '../responses.js';

/** What tells the ETag of a thumbnail from that of its original. */
const THUMBNAIL = '-thumbnail';

@Route('v1/collections/{collection}/images')
@Tags('Images')
@Response<Problem>(404, 'The collection or the image is not there')
export class ImagesController extends Controller {
  readonly #service: ImageService;
  readonly #images: ImageInput;
  readonly #maxImages: number;

  constructor(parts: { service: ImageService; images: ImageInput; maxImagesPerRequest: number }) {
    super();
    this.#service = parts.service;
    this.#images = parts.images;
    this.#maxImages = parts.maxImagesPerRequest;
  }

  /**
   * Pages through the images in ascending order of id.
   * @summary List images
   * @param limit images per page, default 100
   * @isInt limit
   * @minimum limit 1
   * @maximum limit 1000
   * @param cursor `nextCursor` of the page before
   * @param filter a filter as JSON text
   * @param withVectors give the images' vectors: as lists of numbers, or as base64 of little-endian float32
   */
  @Get()
  @OperationId('listImages')
  public async listImages(
    collection: string,
    @Query() limit?: number,
    @Query() cursor?: string,
    @Query() filter?: string,
    @Query() withVectors?: VectorEncoding,
  ): Promise<ImageListResponse> {
    const query = {
      limit: limit ?? 100,
      cursor,
      filter: parseFilter(filter),
      withVectors: withVectors !== undefined,
    };
    const { images, nextCursor } = await this.#service.list(collection, query);
    return sendJson<ImageListResponse>(this, {
      images: images.map((image) => ({ ...image, vector: encodeVector(image.vector, withVectors) })),
      nextCursor,
    });
  }

  /**
   * Stores several images at once, as multipart files or in JSON. Each stands for itself: the readable ones are
   * stored in one transaction, the others are named with what is wrong.
   * @summary Store a batch of images
   */
  @Post()
  @OperationId('postImages')
  @Response<Problem>(409, "The collection's model is not loaded")
  public async postImages(
    collection: string,
    @Request() request: HttpRequest,
    @Queries() query: BatchOptions,
    @Body() body?: BatchRequest,
  ): Promise<BatchResponse> {
    const images =
      body === undefined ? await this.#fromFiles(request, query.items) : await this.#fromJson(body);
    const objects = body?.objects ?? objectSetting(query);
    const asked = images.map((image) => ({ ...image, objects: objects && validateObjectSetting(objects) }));
    const onDuplicate = body === undefined ? query.onDuplicate : body.onDuplicate;
    const results = await this.#service.putMany(collection, asked, { caller: request.caller, onDuplicate });
    return { results: results.map((result) => toBatchResult(result, request.id)) };
  }

  /**
   * Stores an image under an id of your choice; what was there is replaced. Sending the same again changes nothing
   * and costs no inference.
   * @summary Store an image
   * @param id 1 to 512 characters; a slash is written %2F
   */
  @Put('{id}')
  @OperationId('putImage')
  @SuccessResponse(201, 'Created')
  @Response<PutImageResponse>(200, 'Replaced, or unchanged')
  @Response<Problem>(409, "The collection's model is not loaded")
  public async putImage(
    collection: string,
    id: string,
    @Request() request: HttpRequest,
    @Queries() query: PutImageOptions,
    @Body() body?: PutImageRequest,
  ): Promise<PutImageResponse> {
    const bytes = await this.#images.one(request, body?.image);
    const metadata = body?.metadata ?? parseMetadata(query.metadata);
    const given = body?.objects ?? objectSetting(query);
    const objects = given && validateObjectSetting(given);
    const result = await this.#service.put(collection, { id, bytes, metadata, objects }, request.caller);
    this.setStatus(result.status === 'created' ? 201 : 200);
    return result;
  }

  /**
   * @summary Describe an image
   * @param withVectors give its vector: as a list of numbers, or as base64 of little-endian float32
   */
  @Get('{id}')
  @OperationId('getImage')
  public async getImage(
    collection: string,
    id: string,
    @Query() withVectors?: VectorEncoding,
  ): Promise<ImageResource> {
    const image = await this.#service.get(collection, id, { withVector: withVectors !== undefined });
    return sendJson<ImageResource>(this, { ...image, vector: encodeVector(image.vector, withVectors) });
  }

  /** @summary Change an image's metadata */
  @Patch('{id}')
  @OperationId('patchImage')
  public async patchImage(
    collection: string,
    id: string,
    @Body() body: PatchImageRequest,
  ): Promise<ImageResource> {
    return this.#service.patch(collection, id, body.metadata);
  }

  /** @summary Delete an image */
  @Delete('{id}')
  @OperationId('deleteImage')
  @SuccessResponse(204, 'Deleted')
  public async deleteImage(collection: string, id: string): Promise<void> {
    await this.#service.delete(collection, id);
  }

  /** @summary The original bytes of an image */
  @Get('{id}/content')
  @OperationId('getImageContent')
  @SuccessResponse(200, 'The original bytes', 'application/octet-stream')
  public async getImageContent(
    collection: string,
    id: string,
    @Request() request: HttpRequest,
  ): Promise<Readable> {
    if (await this.#hasAlready({ collection, id, request }, 'hasOriginal', '')) return NO_BODY;
    const { bytes, mediaType, contentHash } = await this.#service.content(collection, id);
    this.setHeader('ETag', `"${contentHash}"`);
    return sendBytes(this, bytes, mediaType);
  }

  /** @summary A small WebP of an image, at most 256 px on the longer side */
  @Get('{id}/thumbnail')
  @OperationId('getImageThumbnail')
  @SuccessResponse(200, 'A WebP', 'image/webp')
  public async getImageThumbnail(
    collection: string,
    id: string,
    @Request() request: HttpRequest,
  ): Promise<Readable> {
    const place = { collection, id, request };
    if (await this.#hasAlready(place, 'hasThumbnail', THUMBNAIL)) return NO_BODY;
    const { bytes, mediaType, contentHash } = await this.#service.thumbnail(collection, id);
    this.setHeader('ETag', `"${contentHash}${THUMBNAIL}"`);
    return sendBytes(this, bytes, mediaType);
  }

  /** Whether the client has the picture that it asks for again; then its bytes are not even read. */
  async #hasAlready(
    { collection, id, request }: { collection: string; id: string; request: HttpRequest },
    kept: 'hasOriginal' | 'hasThumbnail',
    suffix: string,
  ): Promise<boolean> {
    if (request.headers['if-none-match'] === undefined) return false;
    const image = await this.#service.get(collection, id);
    return image[kept] && isNotModified(this, request, image.contentHash + suffix);
  }

  async #fromFiles(request: HttpRequest, itemsJson: string | undefined): Promise<ImageToPut[]> {
    const files = await this.#images.many(request, undefined);
    const items = parseBatchItems(itemsJson, files.length);
    return files.map((bytes, i) => ({ bytes, id: items[i]?.id, metadata: items[i]?.metadata ?? {} }));
  }

  async #fromJson({ images }: BatchRequest): Promise<ImageToPut[]> {
    if (images.length > this.#maxImages) {
      throw new DinoError(
        'payload-too-large',
        `There are ${images.length} images; ${this.#maxImages} are taken at once.`,
      );
    }
    return Promise.all(
      images.map(async ({ id, image, metadata }) => ({
        id,
        metadata: metadata ?? {},
        bytes: await this.#images.resolve(image),
      })),
    );
  }
}

/** What became of one item of a batch. */
export function toBatchResult(result: PutResult, requestId: string): BatchResult {
  if ('error' in result)
    return { id: result.id, status: 'failed', error: toProblem(result.error, requestId) };
  return result;
}
