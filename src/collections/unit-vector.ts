import { refuse } from './input-checks.js';

/**
 * A unit-length copy of `vector`.
 *
 * @param vector any length but zero
 * @param dimension elements expected
 * @param what names the vector in an error, e.g. `The vector of image "a"`
 * @returns `dimension` float32 elements of norm 1 within float32 rounding
 * @throws invalid-request for another number of elements, an element that is not finite, or all zero
 */
export function toUnitVector(vector: Float32Array, dimension: number, what: string): Float32Array {
  if (vector.length !== dimension) {
    refuse(`${what} has ${vector.length} elements, but the collection holds vectors of ${dimension}.`);
  }
  let sum = 0;
  for (let i = 0; i < dimension; i++) {
    const element = vector[i];
    if (!Number.isFinite(element))
      refuse(`${what} has an element that is not a finite number (index ${i}: ${element}).`);
    // In double precision the squares of float32 neither overflow nor vanish.
    sum += element! * element!;
  }
  if (sum === 0) refuse(`${what} is all zeros and has no direction to compare.`);
  const norm = Math.sqrt(sum);
  return vector.map((element) => element / norm);
}
