import { BitMatrix } from './bit-matrix.js';
import { BLOCK, multiplyBlock, padRows } from './dot-block.js';

export interface AffinityOptions {
  /** [n, dimension]. */
  readonly rows: Float64Array;
  readonly dimension: number;
  /** A pair is joined when its dot product is above this. */
  readonly above: number;
}

/** Which rows are alike: a one where the dot product of two rows, or of a row with itself, is above a threshold. */
export function binaryAffinity({ rows, dimension, above }: AffinityOptions): BitMatrix {
  const matrix = new BitMatrix(rows.length / dimension);
  dotProducts(rows, dimension, (row, column, product) => {
    if (product > above) matrix.join(row, column);
  });
  return matrix;
}

/**
 * The dot products of every two rows, and of each with itself.
 *
 * @param rows [n, dimension]
 * @param take is told each product; of most pairs once, of some both ways round
 */
export function dotProducts(
  rows: Float64Array,
  dimension: number,
  take: (row: number, column: number, product: number) => void,
): void {
  const size = rows.length / dimension;
  const padded = padRows(rows, dimension);
  const products = new Float64Array(BLOCK * BLOCK);
  for (let row = 0; row < size; row += BLOCK) {
    for (let column = row; column < size; column += BLOCK) {
      multiplyBlock({ first: padded, second: padded, dimension, row, column }, products);
      const height = Math.min(BLOCK, size - row);
      const width = Math.min(BLOCK, size - column);
      for (let down = 0; down < height; down++) {
        for (let across = 0; across < width; across++) {
          take(row + down, column + across, products[down * BLOCK + across]!);
        }
      }
    }
  }
}
