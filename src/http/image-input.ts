import type { Request } from 'express';
import type { Caller } from '../caller.js';
import type { CollectionStore } from '../collections/collection-store.js';
import { DinoError } from '../errors.js';
import type { ImageReference } from './dto/image.dto.js';

/** A file that came as raw body or in a multipart form. */
export interface UploadedFile {
  readonly bytes: Uint8Array;
  /** The client's name for it, if any. */
  readonly name: string | undefined;
}

declare module 'express-serve-static-core' {
  interface Request {
    /** Files of the body; undefined where the body was JSON or empty. */
    uploads?: readonly UploadedFile[];
    /** The client: whether it is still there, how urgent it is, and where the time goes. */
    caller: Caller;
  }
}

const BASE64 = /^[A-Za-z0-9+/_\s-]+={0,2}\s*$/;

/** Finds the bytes of the images of a request, in whichever form they came. */
export class ImageInput {
  readonly #store: CollectionStore;
  readonly #maxImageBytes: number;

  constructor(store: CollectionStore, maxImageBytes: number) {
    this.#store = store;
    this.#maxImageBytes = maxImageBytes;
  }

  /** The request's one image. @throws DinoError invalid-request when there is none or more than one */
  async one(request: Request, reference: ImageReference | undefined): Promise<Uint8Array> {
    const images = await this.many(request, reference === undefined ? undefined : [reference]);
    if (images.length !== 1) throw new DinoError('invalid-request', `Send one image, not ${images.length}.`);
    return images[0]!;
  }

  /** The request's images in order. @throws DinoError invalid-request when there is none */
  async many(request: Request, references: readonly ImageReference[] | undefined): Promise<Uint8Array[]> {
    if (request.uploads !== undefined) {
      for (const file of request.uploads) this.#check(file.bytes);
      return request.uploads.map((file) => file.bytes);
    }
    if (references === undefined) {
      const detail =
        'There is no image in the request. Send it as the body with a content type of image/*, as a file in ' +
        'multipart/form-data, or in JSON as a data: URI, as base64 or as {"collection", "id"} of a stored image.';
      throw new DinoError('invalid-request', detail);
    }
    return Promise.all(references.map((reference) => this.resolve(reference)));
  }

  /** @throws DinoError invalid-request, payload-too-large, not-found */
  async resolve(reference: ImageReference): Promise<Uint8Array> {
    if (typeof reference !== 'string') {
      const { bytes } = await this.#store.getContent(reference.collection, reference.id);
      return bytes;
    }
    const bytes = decodeText(reference);
    this.#check(bytes);
    return bytes;
  }

  #check(bytes: Uint8Array): void {
    if (bytes.length > this.#maxImageBytes) {
      const detail = `The image has ${bytes.length} bytes, but ${this.#maxImageBytes} are the limit. Send a smaller one.`;
      throw new DinoError('payload-too-large', detail);
    }
  }
}

function decodeText(text: string): Uint8Array {
  let base64 = text;
  if (text.startsWith('data:')) {
    const comma = text.indexOf(',');
    if (comma === -1 || !/;base64$/i.test(text.slice(0, comma))) {
      throw new DinoError('invalid-request', 'The data: URI is not of the form data:image/jpeg;base64,...');
    }
    base64 = text.slice(comma + 1);
  } else if (/^https?:/i.test(text)) {
    throw new DinoError(
      'invalid-request',
      'This server does not fetch images by URL. Send the bytes, a data: URI or base64.',
    );
  }
  if (!BASE64.test(base64)) {
    throw new DinoError('invalid-request', 'The image is neither a data: URI nor base64.');
  }
  return Buffer.from(base64, 'base64');
}
