import type { LazyFloats } from './weight.js';

/** A tensor computed from another when it is needed. */
export function mapped(
  tensor: LazyFloats,
  shape: readonly number[],
  transform: (values: Float32Array) => Float32Array,
): LazyFloats {
  return { shape, load: async () => transform(await tensor.load()) };
}

/** Rows and columns of a matrix exchanged: [r, c] to [c, r]. */
export function transposed(tensor: LazyFloats): LazyFloats {
  const [rows, columns] = tensor.shape as [number, number];
  return mapped(tensor, [columns, rows], (values) => transpose(values, rows, columns));
}

/** [rows, columns] to [columns, rows]. */
export function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  // In tiles, so that neither side walks through memory with a large stride.
  const tile = 32;
  for (let top = 0; top < rows; top += tile) {
    const bottom = Math.min(top + tile, rows);
    for (let left = 0; left < columns; left += tile) {
      const right = Math.min(left + tile, columns);
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) {
          result[column * rows + row] = values[row * columns + column]!;
        }
      }
    }
  }
  return result;
}
