import { open, type FileHandle } from 'node:fs/promises';
import { CommandError } from '../command-error.js';

/** What a `.npy` file holds: a matrix, row by row. */
export interface NpyHeader {
  readonly rows: number;
  readonly columns: number;
  readonly type: NpyType;
  /** Bytes before the first number. */
  readonly offset: number;
}

/** float16, float32 or float64, little-endian. */
type NpyType = '<f2' | '<f4' | '<f8';

const BYTES: Readonly<Record<NpyType, number>> = { '<f2': 2, '<f4': 4, '<f8': 8 };
const MAGIC = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]);
/** Longest header that is read: a header of a plain matrix has some 100 bytes. */
const MAX_HEADER_BYTES = 64 * 1024;
/** Read at a time. */
const CHUNK_BYTES = 1024 * 1024;
/** Size of the header that is written, with room for any count of rows. */
const WRITTEN_HEADER_BYTES = 128;

/**
 * Reads the header of a `.npy` file of versions 1 to 3
 * (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
 *
 * @throws CommandError where it is not a matrix of float16, float32 or float64 in C order, or the file is not as long as it says
 */
export async function readNpyHeader(path: string): Promise<NpyHeader> {
  const file = await open(path);
  try {
    const start = Buffer.alloc(12);
    await file.read(start, 0, 12, 0);
    if (!start.subarray(0, 6).equals(MAGIC)) throw damaged(path, 'it is not a .npy file');
    const long = start[6]! >= 2;
    const length = long ? start.readUInt32LE(8) : start.readUInt16LE(8);
    if (length > MAX_HEADER_BYTES) throw damaged(path, `its header has ${length} bytes`);
    const text = Buffer.alloc(length);
    await file.read(text, 0, length, long ? 12 : 10);
    const header = { ...parse(text.toString('latin1'), path), offset: (long ? 12 : 10) + length };
    const { size } = await file.stat();
    const expected = header.offset + header.rows * header.columns * BYTES[header.type];
    if (size !== expected) throw damaged(path, `it has ${size} bytes instead of ${expected}`);
    return header;
  } finally {
    await file.close();
  }
}

/** The header is a literal of Python with these three keys, in any order. */
function parse(text: string, path: string): Omit<NpyHeader, 'offset'> {
  const type = /'descr':\s*'([^']*)'/.exec(text)?.[1];
  const shape = /'shape':\s*\((\d+),\s*(\d+)\s*,?\s*\)/.exec(text);
  if (type === undefined || !(type in BYTES)) {
    throw damaged(
      path,
      `its numbers are ${type ?? 'of no known type'}; float16, float32 and float64 are read`,
    );
  }
  if (shape === null) throw damaged(path, 'it is not a matrix with a row per vector');
  if (!/'fortran_order':\s*False/.test(text)) {
    throw damaged(path, 'it is in Fortran order; write it with numpy.ascontiguousarray');
  }
  return { rows: Number(shape[1]), columns: Number(shape[2]), type: type as NpyType };
}

/** The rows in order, as float32; memory is bounded by one chunk of the file. */
export async function* readNpyRows(path: string, header: NpyHeader): AsyncGenerator<Float32Array, void> {
  const { rows, columns, type, offset } = header;
  const rowBytes = columns * BYTES[type];
  const rowsAtOnce = Math.max(1, Math.floor(CHUNK_BYTES / Math.max(rowBytes, 1)));
  const file = await open(path);
  try {
    for (let row = 0; row < rows; row += rowsAtOnce) {
      const count = Math.min(rowsAtOnce, rows - row);
      const chunk = new ArrayBuffer(count * rowBytes);
      await readFully(file, { into: new Uint8Array(chunk), position: offset + row * rowBytes, path });
      for (let i = 0; i < count; i++) yield decode(chunk, i * rowBytes, columns, type);
    }
  } finally {
    await file.close();
  }
}

async function readFully(
  file: FileHandle,
  { into, position, path }: { into: Uint8Array; position: number; path: string },
): Promise<void> {
  for (let done = 0; done < into.length;) {
    const { bytesRead } = await file.read(into, done, into.length - done, position + done);
    if (bytesRead === 0) throw damaged(path, 'it ends early');
    done += bytesRead;
  }
}

function decode(chunk: ArrayBuffer, at: number, columns: number, type: NpyType): Float32Array {
  if (type === '<f4') return new Float32Array(chunk.slice(at, at + columns * 4));
  const view = new DataView(chunk, at);
  return Float32Array.from({ length: columns }, (_, i) =>
    type === '<f8' ? view.getFloat64(i * 8, true) : fromHalf(view.getUint16(i * 2, true)),
  );
}

/** IEEE 754 binary16. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Writes a float32 matrix row by row; how many rows there are need not be known before. */
export class NpyWriter {
  #rows = 0;

  private constructor(
    private readonly file: FileHandle,
    private readonly columns: number,
  ) {}

  static async create(path: string, columns: number): Promise<NpyWriter> {
    const file = await open(path, 'w');
    await file.write(Buffer.alloc(WRITTEN_HEADER_BYTES));
    return new NpyWriter(file, columns);
  }

  /** @param rows each with as many elements as the matrix has columns */
  async write(rows: readonly Float32Array[]): Promise<void> {
    const block = new Float32Array(rows.length * this.columns);
    rows.forEach((row, i) => block.set(row, i * this.columns));
    await this.file.writev([new Uint8Array(block.buffer)]);
    this.#rows += rows.length;
  }

  /** Writes the header and closes the file. */
  async close(): Promise<void> {
    const dictionary = `{'descr': '<f4', 'fortran_order': False, 'shape': (${this.#rows}, ${this.columns}), }`;
    const header = Buffer.alloc(WRITTEN_HEADER_BYTES, ' ');
    MAGIC.copy(header);
    header.writeUInt8(1, 6);
    header.writeUInt8(0, 7);
    header.writeUInt16LE(WRITTEN_HEADER_BYTES - 10, 8);
    header.write(dictionary, 10, 'latin1');
    header.write('\n', WRITTEN_HEADER_BYTES - 1);
    await this.file.write(header, 0, header.length, 0);
    await this.file.sync();
    await this.file.close();
  }
}

function damaged(path: string, what: string): CommandError {
  return new CommandError(`${path} can't be imported: ${what}`);
}
