import { isPlainObject, isPlainText, isWellFormed, checkInteger, refuse, show } from './input-checks.js';
import { DUPLICATE_CHOICES } from './collection-store.js';
import type { DuplicateChoice, NewImage } from './collection-store.js';
import { validateNewObjects } from './validate-objects.js';

const SHA256 = /^[0-9a-f]{64}$/;
const MEDIA_TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}$/;

export const MAX_ID_CHARACTERS = 512;
export const MAX_METADATA_FIELDS = 64;
export const MAX_FIELD_NAME_CHARACTERS = 100;
export const MAX_LIST_ELEMENTS = 256;
/** Size of an image's metadata as JSON in UTF-8. */
export const MAX_METADATA_BYTES = 16 * 1024;

/** An image whose every field but the vector's length and elements has been checked. */
export interface ImageRecord extends Omit<NewImage, 'metadata'> {
  /** Metadata as JSON text, keys in the caller's order. */
  readonly metadata: string;
}

/**
 * @returns `id` when it is 1..512 Unicode characters with no control character, and neither "." nor ".."
 * @throws invalid-request
 */
export function validateImageId(id: unknown): string {
  if (typeof id !== 'string') refuse(`An image's id must be a text, but it is ${show(id)}.`);
  if (id === '.' || id === '..')
    refuse(`An image's id must not be ${show(id)}: it could not be part of a URL.`);
  const characters = id.length > 2 * MAX_ID_CHARACTERS ? id.length : [...id].length;
  if (characters < 1 || characters > MAX_ID_CHARACTERS) {
    refuse(`An image's id has 1 to ${MAX_ID_CHARACTERS} characters, but ${show(id)} has ${characters}.`);
  }
  if (!isPlainText(id))
    refuse(`An image's id must be Unicode without control characters, but it is ${show(id)}.`);
  return id;
}

/** @returns `keep` where nothing is said @throws invalid-request */
export function validateDuplicateChoice(choice: unknown = 'keep'): DuplicateChoice {
  if (DUPLICATE_CHOICES.includes(choice as DuplicateChoice)) return choice as DuplicateChoice;
  refuse(`onDuplicate is ${show(choice)}; it may be ${DUPLICATE_CHOICES.join(' or ')}.`);
}

/** What a patch does to each field it names: JSON text to set, null to remove. */
export type EncodedPatch = ReadonlyMap<string, string | null>;

/**
 * Metadata as JSON text, keys in the order given.
 *
 * Limits: a flat object of at most 64 fields; names of 1..100 characters without control characters;
 * values texts, finite numbers, booleans, or lists of at most 256 texts or of at most 256 numbers; at
 * most 16 KiB of JSON.
 *
 * @throws invalid-request, naming the field
 */
export function encodeMetadata(metadata: unknown): string {
  if (!isPlainObject(metadata)) refuse(`Metadata must be an object of fields, but it is ${show(metadata)}.`);
  return joinFields(
    Object.keys(metadata).map((field) => [validateFieldName(field), encodeValue(field, metadata[field])]),
  );
}

/** Checks a change of metadata. @throws invalid-request, naming the field */
export function encodePatch(patch: unknown): EncodedPatch {
  if (!isPlainObject(patch))
    refuse(`A change of metadata must be an object of fields, but it is ${show(patch)}.`);
  return new Map(
    Object.keys(patch).map((field) => {
      const value = patch[field];
      return [validateFieldName(field), value === null ? null : encodeValue(field, value)];
    }),
  );
}

/**
 * @param json metadata from `encodeMetadata`
 * @returns the metadata with the patch applied; new fields come last
 * @throws invalid-request when the result would be beyond the limits of metadata
 */
export function applyPatch(json: string, patch: EncodedPatch): string {
  const before = JSON.parse(json) as Record<string, unknown>;
  const fields = new Map(Object.keys(before).map((field) => [field, JSON.stringify(before[field])]));
  for (const [field, value] of patch) {
    if (value === null) fields.delete(field);
    else fields.set(field, value);
  }
  return joinFields([...fields]);
}

/** `json` (from `encodeMetadata`) with its keys sorted: equal metadata give equal text. */
export function canonicalMetadata(json: string): string {
  const metadata = JSON.parse(json) as Record<string, unknown>;
  const fields = Object.keys(metadata).sort();
  return joinFields(fields.map((field) => [field, JSON.stringify(metadata[field])]));
}

/**
 * Checks everything about an image that can be known without its collection.
 *
 * @returns the image with its metadata encoded; bytes and vector are the caller's own, not copies
 * @throws invalid-request, naming the image and the field
 */
export function validateNewImage(image: NewImage): ImageRecord {
  const given: unknown = image;
  if (typeof given !== 'object' || given === null)
    refuse(`An image must be an object, but it is ${show(given)}.`);
  const id = validateImageId(image.id);
  const of = `of image ${show(id)}`;
  if (typeof image.contentHash !== 'string' || !SHA256.test(image.contentHash)) {
    refuse(
      `contentHash ${of} must be a SHA-256 in 64 lower-case hex digits, but it is ${show(image.contentHash)}.`,
    );
  }
  if (typeof image.mediaType !== 'string' || !MEDIA_TYPE.test(image.mediaType)) {
    refuse(`mediaType ${of} must be a media type such as "image/jpeg", but it is ${show(image.mediaType)}.`);
  }
  const isVectorAlone = image.content === undefined;
  if (isVectorAlone && image.thumbnail !== undefined)
    refuse(`The thumbnail ${of} comes without the image's content.`);
  for (const field of ['content', 'thumbnail'] as const) {
    const bytes: unknown = image[field];
    if (bytes === undefined) continue;
    if (!(bytes instanceof Uint8Array) || bytes.byteLength === 0) {
      refuse(`${field} ${of} must be bytes (a Uint8Array) and not empty.`);
    }
  }
  if (isVectorAlone && image.objects !== undefined)
    refuse(`The objects ${of} come without the image's content.`);
  const vector: unknown = image.vector;
  if (!(vector instanceof Float32Array))
    refuse(`The vector ${of} must be a Float32Array, but it is ${show(vector)}.`);
  const { modelFingerprint } = image;
  if (modelFingerprint !== undefined && !SHA256.test(modelFingerprint)) {
    refuse(`modelFingerprint ${of} must be a SHA-256 in hex digits, but it is ${show(modelFingerprint)}.`);
  }
  const [least, most]: [number, number] = isVectorAlone ? [0, 0] : [1, 2 ** 31 - 1];
  return {
    id,
    modelFingerprint,
    metadata: encodeMetadata(image.metadata),
    contentHash: image.contentHash,
    mediaType: image.mediaType,
    width: checkInteger(image.width, `width ${of}`, least, most),
    height: checkInteger(image.height, `height ${of}`, least, most),
    content: image.content,
    thumbnail: image.thumbnail,
    vector,
    objects: image.objects && validateNewObjects(image.objects, of),
  };
}

/** @throws invalid-request */
export function validateFieldName(field: unknown): string {
  const valid =
    typeof field === 'string' && field.length <= 2 * MAX_FIELD_NAME_CHARACTERS && isPlainText(field);
  const characters = valid ? [...field].length : 0;
  if (!valid || characters < 1 || characters > MAX_FIELD_NAME_CHARACTERS) {
    refuse(
      `The name of a metadata field has 1 to ${MAX_FIELD_NAME_CHARACTERS} characters and no control characters; it is ${show(field)}.`,
    );
  }
  return field;
}

/** Built as text: an assignment to an object would lose a field called "__proto__". */
function joinFields(fields: readonly (readonly [name: string, value: string])[]): string {
  if (fields.length > MAX_METADATA_FIELDS) {
    refuse(`Metadata has at most ${MAX_METADATA_FIELDS} fields, but this has ${fields.length}.`);
  }
  const json = `{${fields.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`;
  const bytes = Buffer.byteLength(json);
  if (bytes > MAX_METADATA_BYTES) {
    refuse(`Metadata is at most ${MAX_METADATA_BYTES} bytes of JSON, but this is ${bytes}.`);
  }
  return json;
}

function encodeValue(field: string, value: unknown): string {
  if (!Array.isArray(value)) return encodeScalar(field, value);
  if (value.length > MAX_LIST_ELEMENTS) {
    refuse(
      `The list in metadata field ${show(field)} has ${value.length} elements; at most ${MAX_LIST_ELEMENTS} fit.`,
    );
  }
  const elements = Array.from(value as unknown[]);
  const kind = typeof elements[0];
  if (elements.some((element) => typeof element !== kind || !['string', 'number'].includes(kind))) {
    refuse(`The list in metadata field ${show(field)} must hold only texts or only numbers.`);
  }
  return `[${elements.map((element) => encodeScalar(field, element)).join(',')}]`;
}

function encodeScalar(field: string, value: unknown): string {
  if (typeof value === 'number' ? !Number.isFinite(value) : !['string', 'boolean'].includes(typeof value)) {
    refuse(
      `Metadata field ${show(field)} must be a text, a finite number, a boolean, or a list of texts or of numbers; it is ${show(value)}.`,
    );
  }
  if (typeof value === 'string' && !isWellFormed(value)) {
    refuse(`Metadata field ${show(field)} is not well-formed Unicode.`);
  }
  return JSON.stringify(value);
}
