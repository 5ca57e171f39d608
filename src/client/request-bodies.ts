import type {
  ImageBytes,
  ImageSource,
  NeighbourOptions,
  Region,
  SearchOptions,
  SearchQuery,
  StoredImageReference,
} from './resources.js';

/** Whether the image is named and not given. */
export function isStored(image: ImageSource): image is StoredImageReference {
  return !(image instanceof Uint8Array) && 'collection' in image;
}

/** Bytes as they are. The specification has text where a body is binary, hence the type. */
export function rawBody(image: ImageBytes) {
  const type =
    image instanceof Blob && image.type.startsWith('image/') ? image.type : 'application/octet-stream';
  return {
    body: image as unknown as string,
    bodySerializer: asIs,
    headers: { 'Content-Type': type } as Record<string, string>,
  };
}

/** A multipart form of images and text fields. */
export function formBody(images: readonly ImageBytes[], fields: Record<string, string>) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  for (const image of images)
    form.append('images', image instanceof Blob ? image : new Blob([image]), 'image');
  return { body: form as unknown as { images: string[] }, bodySerializer: asIs };
}

/** One image with options: in JSON where it is a stored one, else the options in the query and the bytes as body. */
export function imageBody<Options extends object>(image: ImageSource, options: Options) {
  const none: Record<string, string> = {};
  return isStored(image)
    ? { body: { image, ...options }, headers: none }
    : { params: { query: options }, ...rawBody(image) };
}

/** Several images with options: a form where all are given, else JSON. */
export async function imagesBody<Options extends object>(images: readonly ImageSource[], options: Options) {
  const bytes = images.filter((image): image is ImageBytes => !isStored(image));
  if (bytes.length === images.length) {
    const { body, bodySerializer } = formBody(bytes, {});
    return { params: { query: options }, body, bodySerializer };
  }
  const references = images.map(async (image) => (isStored(image) ? image : toBase64(image)));
  return { body: { images: await Promise.all(references), ...options } };
}

async function toBase64(image: ImageBytes): Promise<string> {
  const buffer = image instanceof Blob ? await image.arrayBuffer() : image;
  return bytesToBase64(new Uint8Array(buffer));
}

/** Base64 of little-endian float32. */
export function vectorToBase64(vector: Float32Array): string {
  return bytesToBase64(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength));
}

/** A vector as the server gives it: numbers, or base64 of little-endian float32. */
export function decodeVector(vector: string | readonly number[]): Float32Array {
  if (typeof vector !== 'string') return Float32Array.from(vector);
  const bytes = Uint8Array.from(atob(vector), (character) => character.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

/** For browsers too, which have no `Buffer`. */
export function bytesToBase64(bytes: Uint8Array): string {
  let text = '';
  // A call takes only so many arguments.
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(text);
}

/** A search's query and options: around the bytes of an image, else in JSON. */
export function searchBody<Options extends NeighbourOptions & Pick<SearchOptions, 'diversity'>>(
  query: SearchQuery,
  options: Options,
) {
  if ('image' in query && !isStored(query.image)) {
    const { image, region, regionVector } = query;
    const inQuery = { region: region && JSON.stringify(region), regionVector };
    const { diversity } = options;
    const asText = { filter: filterText(options.filter), diversity: diversity && JSON.stringify(diversity) };
    return { query: { ...options, ...asText, ...inQuery }, ...rawBody(image) };
  }
  return { query: undefined, body: { ...options, ...jsonQuery(query) } };
}

function jsonQuery(query: SearchQuery) {
  if ('image' in query) {
    const { image, region, regionVector } = query;
    return { image: image as StoredImageReference, region: region && mutable(region), regionVector };
  }
  if ('id' in query) return { id: query.id };
  if ('vector' in query) return { vector: vectorToBase64(Float32Array.from(query.vector)) };
  return { positive: [...query.positive], negative: query.negative && [...query.negative] };
}

function mutable(region: Region) {
  return 'bbox' in region ? { bbox: [...region.bbox] } : { mask: region.mask };
}

/** Several queries with their options, in JSON. */
export async function batchBody(searches: readonly (SearchQuery & { readonly options?: SearchOptions })[]) {
  const queries = searches.map(async ({ options, ...query }) => {
    if (!('image' in query) || isStored(query.image)) return { ...options, ...jsonQuery(query) };
    const image = await toBase64(query.image);
    const { region, regionVector } = query;
    return { ...options, image, region: region && mutable(region), regionVector };
  });
  return { body: { queries: await Promise.all(queries) } };
}

/** A filter in a query string. */
export function filterText(filter: SearchOptions['filter']): string | undefined {
  return filter === undefined ? undefined : JSON.stringify(filter);
}

function asIs(body: unknown): unknown {
  return body;
}
