import { endianness } from 'node:os';
import type { DType } from './tensor.js';

/** Bytes of one element. */
export const ELEMENT_BYTES: Readonly<Record<DType, number>> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint8: 1,
  bool: 1,
};

/** How stored elements are laid out. */
export interface ElementLayout {
  readonly dtype: DType;
  readonly littleEndian: boolean;
}

const HOST_IS_LITTLE_ENDIAN = endianness() === 'LE';

/**
 * Converts elements to float32: `bytes` holds whole elements, which go to `out` from index `at` on.
 * float64 and large integers are rounded to the nearest float32.
 */
export function decodeElements(
  bytes: Uint8Array,
  layout: ElementLayout,
  out: Float32Array,
  at: number,
): void {
  const { dtype, littleEndian } = layout;
  if (dtype === 'float32' && littleEndian === HOST_IS_LITTLE_ENDIAN) {
    new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(bytes, at * 4);
    return;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = bytes.byteLength / ELEMENT_BYTES[dtype];
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  switch (dtype) {
    case 'float64':
      for (let i = 0; i < count; i++) out[at + i] = view.getFloat64(8 * i, littleEndian);
      return;
    case 'float32':
      for (let i = 0; i < count; i++) bits[at + i] = view.getUint32(4 * i, littleEndian);
      return;
    case 'float16': {
      const halves = halfTable();
      for (let i = 0; i < count; i++) out[at + i] = halves[view.getUint16(2 * i, littleEndian)]!;
      return;
    }
    case 'bfloat16':
      for (let i = 0; i < count; i++) bits[at + i] = view.getUint16(2 * i, littleEndian) << 16;
      return;
    case 'int64':
      for (let i = 0; i < count; i++) out[at + i] = Number(view.getBigInt64(8 * i, littleEndian));
      return;
    case 'int32':
      for (let i = 0; i < count; i++) out[at + i] = view.getInt32(4 * i, littleEndian);
      return;
    case 'int16':
      for (let i = 0; i < count; i++) out[at + i] = view.getInt16(2 * i, littleEndian);
      return;
    case 'int8':
      for (let i = 0; i < count; i++) out[at + i] = view.getInt8(i);
      return;
    case 'uint8':
      for (let i = 0; i < count; i++) out[at + i] = bytes[i]!;
      return;
    case 'bool':
      for (let i = 0; i < count; i++) out[at + i] = bytes[i] === 0 ? 0 : 1;
      return;
  }
}

let halves: Float32Array | undefined;

/** The value of each of the 65,536 IEEE 754 binary16 numbers. */
function halfTable(): Float32Array {
  halves ??= Float32Array.from({ length: 0x10000 }, (_, half) => {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
  return halves;
}
