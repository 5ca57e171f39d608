import { checkInteger, isPlainObject, isPlainText, refuse, show } from './input-checks.js';
import type { CollectionSettings } from './collection-store.js';

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
  const { model, modelFingerprint } = settings;
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
    dimension: checkInteger(settings['dimension'], 'dimension', 1, MAX_DIMENSION),
    m: checkInteger(settings['m'], 'm', 2, 64),
    efConstruction: checkInteger(settings['efConstruction'], 'efConstruction', 8, 800),
    ef: checkInteger(settings['ef'], 'ef', 1, 4096),
  };
}
