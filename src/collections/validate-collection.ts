import { checkInteger, isPlainObject, isPlainText, refuse, show } from './input-checks.js';
import { CONTENT_CHOICES } from './collection-store.js';
import { validateImageId } from './validate-image.js';
import type {
  AlterableSettings,
  CollectionSettings,
  ContentChoice,
  ModelIdentity,
  NextVector,
} from './collection-store.js';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
const SHA256 = /^[0-9a-f]{64}$/;

/** Longest vector a collection can hold, in elements. */
export const MAX_DIMENSION = 8192;

/**
 * @returns `name` when it is 1..100 of `A-Z a-z 0-9 . _ -`, starting with a letter or a digit
 * @throws invalid-request
 */
export function validateCollectionName(name: unknown): string {
  if (typeof name !== 'string' || !NAME.test(name)) {
    refuse(
      `A collection's name has 1 to 100 characters of A-Z, a-z, 0-9, ".", "_" and "-" and starts with a letter or a digit; it is ${show(name)}.`,
    );
  }
  return name;
}

/**
 * @returns a copy of the settings with nothing else in it
 * @throws invalid-request, naming the field that is out of its range
 */
export function validateSettings(settings: unknown): CollectionSettings {
  if (!isPlainObject(settings))
    refuse(`The settings of a collection must be an object; they are ${show(settings)}.`);
  return {
    ...validateModelIdentity(settings),
    m: checkInteger(settings['m'], 'm', 2, 64),
    efConstruction: checkInteger(settings['efConstruction'], 'efConstruction', 8, 800),
    ef: checkInteger(settings['ef'], 'ef', 1, 4096),
    ...checkContent(settings['content'] ?? 'original', settings['thumbnails']),
  };
}

/**
 * @returns the model's part of `given`
 * @throws invalid-request, naming the field that is out of its range
 */
export function validateModelIdentity(given: unknown): ModelIdentity {
  if (!isPlainObject(given)) refuse(`A model must be an object; it is ${show(given)}.`);
  const { model, modelFingerprint } = given;
  if (typeof model !== 'string' || model.length < 1 || model.length > 200 || !isPlainText(model)) {
    refuse(`model must be a text of 1 to 200 characters, but it is ${show(model)}.`);
  }
  if (typeof modelFingerprint !== 'string' || !SHA256.test(modelFingerprint)) {
    refuse(
      `modelFingerprint must be a SHA-256 in 64 lower-case hex digits, but it is ${show(modelFingerprint)}.`,
    );
  }
  return {
    model,
    modelFingerprint,
    dimension: checkInteger(given['dimension'], 'dimension', 1, MAX_DIMENSION),
  };
}

/**
 * @returns a copy, its vector's length and elements unchecked
 * @throws invalid-request
 */
export function validateNextVector({ id, version, vector }: NextVector): NextVector {
  const given: unknown = vector;
  if (!(given instanceof Float32Array)) {
    refuse(`The next vector of image ${show(id)} must be a Float32Array, but it is ${show(given)}.`);
  }
  return {
    id: validateImageId(id),
    version: checkInteger(version, 'version', 0, 2 ** 32 - 1),
    vector: new Float32Array(given),
  };
}

/**
 * @param before the settings of now
 * @returns the settings with the changes made; a change of `content` alone brings its default of `thumbnails` along
 * @throws invalid-request, naming the field that is out of its range
 */
export function applyAlteration(
  before: AlterableSettings,
  changes: Partial<AlterableSettings>,
): AlterableSettings {
  const { ef = before.ef, content = before.content } = changes;
  const thumbnails = changes.thumbnails ?? (content === before.content ? before.thumbnails : undefined);
  return { ef: checkInteger(ef, 'ef', 1, 4096), ...checkContent(content, thumbnails) };
}

/** @returns both, `thumbnails` by default as the content has it */
function checkContent(content: unknown, thumbnails: unknown): Omit<AlterableSettings, 'ef'> {
  if (!CONTENT_CHOICES.includes(content as ContentChoice)) {
    refuse(`content must be one of ${CONTENT_CHOICES.join(', ')}, but it is ${show(content)}.`);
  }
  const given = thumbnails ?? content !== 'none';
  if (typeof given !== 'boolean') refuse(`thumbnails must be true or false, but it is ${show(given)}.`);
  if (content === 'thumbnail' && !given) {
    refuse('content "thumbnail" without thumbnails keeps nothing; say content "none".');
  }
  if (content === 'none' && given) refuse('content "none" keeps no thumbnails; say content "thumbnail".');
  return { content: content as ContentChoice, thumbnails: given };
}
