import type { NewObject, NewObjects, ObjectMethod, ObjectSetting } from './image-objects.js';
import { DEFAULT_OBJECTS, MAX_OBJECTS, OBJECT_METHODS } from './image-objects.js';
import { checkInteger, isPlainObject, refuse, show } from './input-checks.js';

/**
 * The setting with its default: 3 objects, or 1 where the method finds one at most.
 *
 * @throws invalid-request for an unknown method, or a `max` outside 1..10
 */
export function validateObjectSetting(given: unknown): ObjectSetting {
  if (!isPlainObject(given)) refuse(`objects must be an object with a method, but it is ${show(given)}.`);
  const { method, max = DEFAULT_OBJECTS } = given;
  if (!(OBJECT_METHODS as readonly unknown[]).includes(method)) {
    refuse(`The method of objects is one of ${OBJECT_METHODS.join(', ')}, but it is ${show(method)}.`);
  }
  const most = checkInteger(max, 'max of objects', 1, MAX_OBJECTS);
  const isSingle = method === 'tokencut' || method === 'lost';
  return { method: method as ObjectMethod, max: isSingle ? 1 : most };
}

/**
 * Checks everything about an image's objects but the vectors' lengths and elements.
 *
 * @param of the image in a message: `of image "a"`
 * @returns a copy with the known fields only; the vectors are the caller's own
 * @throws invalid-request
 */
export function validateNewObjects(objects: NewObjects, of: string): NewObjects {
  const setting = validateObjectSetting(objects);
  const found: unknown = objects.found;
  if (!Array.isArray(found) || found.length > setting.max) {
    refuse(`The objects ${of} must be a list of at most ${setting.max}.`);
  }
  return { ...setting, found: objects.found.map((object) => validateObject(object, of)) };
}

function validateObject({ bbox, score, vector }: NewObject, of: string): NewObject {
  const [x, y, width, height] = bbox;
  const isBox = bbox.length === 4 && bbox.every(Number.isFinite) && x >= 0 && y >= 0;
  if (!isBox || !(width > 0 && height > 0)) refuse(`The box of an object ${of} is [${bbox.join(', ')}].`);
  if (!Number.isFinite(score))
    refuse(`The score of an object ${of} must be a number, but it is ${show(score)}.`);
  if (!(vector instanceof Float32Array)) refuse(`The vector of an object ${of} must be a Float32Array.`);
  return { bbox: [x, y, width, height], score, vector };
}
