import { show } from './input-checks.js';
import { toUnitVector } from './unit-vector.js';
import type { ImageRecord } from './validate-image.js';

/** The image with its vectors, its objects' too, of unit length. @throws invalid-request for one that doesn't fit */
export function toUnitImage(image: ImageRecord, dimension: number): ImageRecord {
  const { objects } = image;
  const of = `of image ${show(image.id)}`;
  return {
    ...image,
    vector: toUnitVector(image.vector, dimension, `The vector ${of}`),
    objects: objects && {
      ...objects,
      found: objects.found.map((object) => ({
        ...object,
        vector: toUnitVector(object.vector, dimension, `The vector of an object ${of}`),
      })),
    },
  };
}
