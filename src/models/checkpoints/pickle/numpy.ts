import { damaged, quote } from '../checkpoint-error.js';
import { decodeElements, ELEMENT_BYTES } from '../elements.js';
import { elementCount, MAX_DIMENSIONS } from '../stored-tensor.js';
import type { DType } from '../tensor.js';
import { toNumber } from './pickle-reader.js';
import { Constructor, PyTuple, type PickleContext } from './values.js';

const DTYPES: Readonly<Record<string, DType>> = {
  f8: 'float64',
  f4: 'float32',
  f2: 'float16',
  i8: 'int64',
  i4: 'int32',
  i2: 'int16',
  i1: 'int8',
  u1: 'uint8',
  b1: 'bool',
};

/** numpy.dtype of plain numbers. */
export class NumpyType {
  readonly dtype: DType;
  littleEndian = true;

  constructor(dtype: DType) {
    this.dtype = dtype;
  }

  /** Version, byte order, and parts that only structured types have. */
  setState(state: unknown, { where }: PickleContext): void {
    const order = state instanceof PyTuple ? state.items[1] : undefined;
    const plain = state instanceof PyTuple && state.items.slice(2, 5).every((part) => part === null);
    if (!plain || !['<', '>', '|', '='].includes(order as string)) {
      throw damaged(where, 'a NumPy type in its pickle is not one of plain numbers');
    }
    this.littleEndian = order !== '>';
  }
}

/** numpy.ndarray, with its numbers in the pickle itself. */
export class NumpyArray {
  type = new NumpyType('uint8');
  shape: readonly number[] = [0];
  /** Column by column. */
  fortranOrder = false;
  bytes: Uint8Array = new Uint8Array(0);

  /** Version, shape, type, Fortran order, bytes. */
  setState(state: unknown, context: PickleContext): void {
    const [, shape, type, fortranOrder, bytes] = state instanceof PyTuple ? state.items : [];
    const valid =
      shape instanceof PyTuple &&
      shape.items.length <= MAX_DIMENSIONS &&
      shape.items.every((side) => typeof side === 'number') &&
      type instanceof NumpyType &&
      typeof fortranOrder === 'boolean' &&
      bytes instanceof Uint8Array;
    if (!valid) throw damaged(context.where, 'a NumPy array in its pickle is not one of plain numbers');
    const sides = shape.items as number[];
    const count = elementCount(sides);
    if (count === undefined || count * ELEMENT_BYTES[type.dtype] !== bytes.length) {
      throw damaged(
        context.where,
        `a NumPy array in its pickle has ${bytes.length} bytes, which don't fit its shape`,
      );
    }
    Object.assign(this, { shape: sides, type, fortranOrder, bytes });
  }
}

/** `numpy.dtype('f8', False, True)` */
const dtype = new Constructor('numpy.dtype', ([code], { where }) => {
  const known = typeof code === 'string' ? DTYPES[code.replace(/^[<>|=]/, '')] : undefined;
  if (known === undefined) {
    throw damaged(where, `its pickle has the NumPy type ${quote(String(code))}, which is not read`);
  }
  const type = new NumpyType(known);
  type.littleEndian = !(code as string).startsWith('>');
  return type;
});

const ndarray = new Constructor('numpy.ndarray', (_, { where }) => {
  throw damaged(where, 'its pickle makes a NumPy array in a way that NumPy does not');
});

/** `_reconstruct(ndarray, (0,), b'b')`: an empty array, which BUILD fills */
const reconstruct = new Constructor('numpy._reconstruct', ([kind], { where }) => {
  if (kind !== ndarray) throw damaged(where, 'its pickle makes a NumPy array in a way that NumPy does not');
  return new NumpyArray();
});

/** `scalar(dtype, bytes)` */
const scalar = new Constructor('numpy.scalar', ([type, bytes], { where }) => {
  const valid = type instanceof NumpyType && bytes instanceof Uint8Array;
  if (!valid || bytes.length !== ELEMENT_BYTES[type.dtype]) {
    throw damaged(where, 'a NumPy number in its pickle is not one');
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // These do not fit in float32, which everything else is decoded to.
  if (type.dtype === 'float64') return view.getFloat64(0, type.littleEndian);
  if (type.dtype === 'int64') return toNumber(view.getBigInt64(0, type.littleEndian));
  if (type.dtype === 'int32') return view.getInt32(0, type.littleEndian);
  const value = new Float32Array(1);
  decodeElements(bytes, type, value, 0);
  return type.dtype === 'bool' ? value[0] !== 0 : value[0];
});

/** NumPy 2 moved its private modules. */
export const NUMPY_GLOBALS: readonly (readonly [string, Constructor])[] = [
  ['numpy.dtype', dtype],
  ['numpy.ndarray', ndarray],
  ...['numpy.core.multiarray', 'numpy._core.multiarray'].flatMap((module) => [
    [`${module}.scalar`, scalar] as const,
    [`${module}._reconstruct`, reconstruct] as const,
  ]),
];
