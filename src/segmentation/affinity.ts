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
  const size = rows.length / dimension;
  const matrix = new BitMatrix(size);
  const padded = padRows(rows, dimension);
  const products = new Float64Array(BLOCK * BLOCK);
  for (let row = 0; row < size; row += BLOCK) {
    for (let column = row; column < size; column += BLOCK) {
      multiplyBlock({ first: padded, second: padded, dimension, row, column }, products);
      for (let entry = 0; entry < products.length; entry++) {
        if (!(products[entry]! > above)) continue;
        const [first, second] = [row + Math.floor(entry / BLOCK), column + (entry % BLOCK)];
        if (first < size && second < size) matrix.join(first, second);
      }
    }
  }
  return matrix;
}
