import { dotProducts } from './affinity.js';

/** A symmetric matrix of numbers, its upper triangle row by row: 67 MB for 4096 rows. */
export class DenseAffinity {
  /** Rows, and columns. */
  readonly size: number;
  readonly #entries: Float64Array;

  /**
   * How alike rows are: their dot products, and `floor` where these are below it.
   *
   * @param options.rows [n, dimension]
   */
  constructor({ rows, dimension, floor }: { rows: Float64Array; dimension: number; floor: number }) {
    const size = rows.length / dimension;
    this.size = size;
    this.#entries = new Float64Array((size * (size + 1)) / 2);
    dotProducts(rows, dimension, (row, column, product) => {
      if (column >= row) this.#entries[rowStart(row, size) + column] = Math.max(floor, product);
    });
  }

  /** The smallest and the largest entry off the diagonal; Infinity and -Infinity for a single row. */
  range(): [least: number, most: number] {
    let [least, most] = [Infinity, -Infinity];
    for (let row = 0; row < this.size; row++) {
      const start = rowStart(row, this.size);
      for (let column = row + 1; column < this.size; column++) {
        const entry = this.#entries[start + column]!;
        if (entry < least) least = entry;
        if (entry > most) most = entry;
      }
    }
    return [least, most];
  }

  /** Sums of the rows. */
  rowSums(): Float64Array {
    const sums = new Float64Array(this.size);
    this.multiply(new Float64Array(this.size).fill(1), sums);
    return sums;
  }

  /** Writes the product of the matrix and `vector` (both of `size` numbers) into `product`. */
  multiply(vector: Float64Array, product: Float64Array): void {
    const { size } = this;
    const entries = this.#entries;
    product.fill(0);
    for (let row = 0, at = 0; row < size; row++) {
      const own = vector[row]!;
      let sum = entries[at++]! * own;
      // Each entry above the diagonal stands for the one below it too.
      for (let column = row + 1; column < size; column++, at++) {
        const entry = entries[at]!;
        sum += entry * vector[column]!;
        product[column]! += entry * own;
      }
      product[row]! += sum;
    }
  }
}

/** Where column 0 of a row would be in the packed triangle: entry (row, column) lies `column` further on. */
function rowStart(row: number, size: number): number {
  return row * size - (row * (row + 1)) / 2;
}
