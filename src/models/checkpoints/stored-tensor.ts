import { damaged } from './checkpoint-error.js';
import { decodeElements, ELEMENT_BYTES, type ElementLayout } from './elements.js';
import type { StorageBytes } from './storage-bytes.js';
import type { DType, LazyTensor } from './tensor.js';

/** Which elements of a storage a tensor is made of; everything counts elements, not bytes. */
export interface View {
  readonly dtype: DType;
  readonly offset: number;
  readonly shape: readonly number[];
  /** Elements between neighbours along each axis. */
  readonly strides: readonly number[];
}

/** float32 of this size are 4 GiB; no weight of a network this service runs comes near. */
const MAX_ELEMENTS = 2 ** 30;
/** A view may repeat the elements of its storage (stride 0), but not to fill the memory. */
const MAX_REPEATED_ELEMENTS = 2 ** 24;
/** As in PyTorch. */
export const MAX_DIMENSIONS = 64;

/** The number of elements of a shape, or undefined when it is no shape or too large. */
export function elementCount(shape: readonly number[]): number | undefined {
  if (shape.length > MAX_DIMENSIONS) return undefined;
  if (!shape.every((side) => Number.isSafeInteger(side) && side >= 0)) return undefined;
  if (shape.includes(0)) return 0;
  let count = 1;
  for (const side of shape) {
    count *= side;
    if (count > MAX_ELEMENTS) return undefined;
  }
  return count;
}

/** Strides of a contiguous row-major tensor. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

/**
 * What is wrong with a view of a storage of `storageElements` elements, or undefined when nothing is.
 * A view that passes stays inside its storage.
 */
export function problemOfView(view: View, storageElements: number): string | undefined {
  const { offset, shape, strides } = view;
  const count = elementCount(shape);
  if (count === undefined) return `a tensor of shape ${print(shape)} is not possible here`;
  if (strides.length !== shape.length)
    return `a tensor of shape ${print(shape)} has ${strides.length} strides`;
  const whole = [offset, ...strides].every((value) => Number.isSafeInteger(value) && value >= 0);
  if (!whole) return `a tensor of shape ${print(shape)} has offset ${offset} and strides ${print(strides)}`;
  if (count === 0) return undefined;
  const last = offset + shape.reduce((sum, side, axis) => sum + (side - 1) * strides[axis]!, 0);
  if (last >= storageElements) {
    return `a tensor of shape ${print(shape)} needs ${last + 1} elements of its storage, which has ${storageElements}`;
  }
  if (count > storageElements && count > MAX_REPEATED_ELEMENTS) {
    return `a tensor of shape ${print(shape)} repeats the ${storageElements} elements of its storage`;
  }
  return undefined;
}

/** A tensor in a storage, read when it is asked for. */
export class StoredTensor implements LazyTensor {
  readonly #bytes: StorageBytes;
  readonly #view: View;
  readonly #layout: ElementLayout;
  readonly #where: string;

  /** @param view has passed {@link problemOfView} */
  constructor(bytes: StorageBytes, view: View, options: { littleEndian: boolean; where: string }) {
    this.#bytes = bytes;
    this.#view = view;
    this.#layout = { dtype: view.dtype, littleEndian: options.littleEndian };
    this.#where = options.where;
  }

  get dtype(): DType {
    return this.#view.dtype;
  }

  get shape(): readonly number[] {
    return this.#view.shape;
  }

  async load(): Promise<Float32Array> {
    const { offset, shape, strides } = this.#view;
    const count = elementCount(shape) ?? 0;
    if (count === 0) return new Float32Array(0);
    if (isContiguous(shape, strides)) return this.#decode(offset, count);
    const span = 1 + shape.reduce((sum, side, axis) => sum + (side - 1) * strides[axis]!, 0);
    return gather(await this.#decode(offset, span), shape, strides);
  }

  /** Elements `offset` to `offset + count` of the storage as float32. */
  async #decode(offset: number, count: number): Promise<Float32Array> {
    const size = ELEMENT_BYTES[this.dtype];
    const out = new Float32Array(count);
    let decoded = 0;
    // An element may lie across two pieces.
    let rest: Uint8Array = new Uint8Array(0);
    for await (const piece of this.#bytes.read(offset * size, (offset + count) * size)) {
      const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
      const elements = Math.floor(bytes.length / size);
      decodeElements(bytes.subarray(0, elements * size), this.#layout, out, decoded);
      decoded += elements;
      rest = Uint8Array.from(bytes.subarray(elements * size));
    }
    if (decoded !== count)
      throw damaged(this.#where, `${count} elements were expected and ${decoded} are there`);
    return out;
  }
}

/** Axes of one element may have any stride. */
function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  const expected = contiguousStrides(shape);
  return shape.every((side, axis) => side === 1 || strides[axis] === expected[axis]);
}

/** Copies a strided view, which begins at the first element of `span`, into row-major order. */
function gather(span: Float32Array, shape: readonly number[], strides: readonly number[]): Float32Array {
  const out = new Float32Array(elementCount(shape) ?? 0);
  const index = new Array<number>(shape.length).fill(0);
  let from = 0;
  for (let to = 0; to < out.length; to++) {
    out[to] = span[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      index[axis]! += 1;
      if (index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

function print(numbers: readonly number[]): string {
  const shown = numbers.slice(0, 8).join(', ');
  return `[${shown}${numbers.length > 8 ? ', ...' : ''}]`;
}
