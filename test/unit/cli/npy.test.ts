import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NpyWriter, readNpyHeader, readNpyRows } from '#dino/cli/vectors/npy.js';

/** A `.npy` file byte by byte, as the format's description has it. */
function npy(dictionary: string, data: Uint8Array, version = 1): Buffer {
  const lengthBytes = version === 1 ? 2 : 4;
  const padded = dictionary.padEnd(64 * 2 - 6 - 2 - lengthBytes - 1) + '\n';
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntLE(padded.length, 0, lengthBytes);
  return Buffer.concat([
    Buffer.from('\x93NUMPY', 'latin1'),
    Buffer.from([version, 0]),
    length,
    Buffer.from(padded, 'latin1'),
    data,
  ]);
}

const literal = (type: string, shape: string, fortran = 'False') =>
  `{'descr': '${type}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`;

describe('.npy files', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dino-npy-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function read(bytes: Uint8Array): Promise<number[][]> {
    const path = join(folder, 'matrix.npy');
    await writeFile(path, bytes);
    const rows: number[][] = [];
    for await (const row of readNpyRows(path, await readNpyHeader(path))) rows.push([...row]);
    return rows;
  }

  it.each([1, 2, 3])('reads float32 of version %d', async (version) => {
    const data = new Uint8Array(Float32Array.from([1, 2.5, -3, 0, 1e-3, 7]).buffer);
    expect(await read(npy(literal('<f4', '(2, 3)'), data, version))).toEqual([
      [1, 2.5, -3],
      [0, Math.fround(1e-3), 7],
    ]);
  });

  it('reads float64 and float16', async () => {
    const doubles = new Uint8Array(Float64Array.from([0.1, -2]).buffer);
    expect(await read(npy(literal('<f8', '(1, 2)'), doubles))).toEqual([[Math.fround(0.1), -2]]);
    // One, the least subnormal, -2, the largest finite, the first normal, infinity.
    const halves = new Uint8Array(Uint16Array.from([0x3c00, 0x0001, 0xc000, 0x7bff, 0x0400, 0x7c00]).buffer);
    expect(await read(npy(literal('<f2', '(3, 2)'), halves))).toEqual([
      [1, 2 ** -24],
      [-2, 65504],
      [2 ** -14, Infinity],
    ]);
  });

  it('writes what it reads, whatever the number of rows, with a header of a multiple of 64 bytes', async () => {
    const path = join(folder, 'written.npy');
    const rows = Array.from({ length: 1000 }, (_, i) => Float32Array.of(i, i / 3, -i));
    const writer = await NpyWriter.create(path, 3);
    await writer.write(rows.slice(0, 1));
    await writer.write(rows.slice(1));
    await writer.close();
    const header = await readNpyHeader(path);
    expect(header).toEqual({ rows: 1000, columns: 3, type: '<f4', offset: 128 });
    expect(await read(await readFile(path))).toEqual(rows.map((row) => [...row]));
  });

  it('writes a matrix without rows', async () => {
    const path = join(folder, 'empty.npy');
    await (await NpyWriter.create(path, 5)).close();
    expect(await readNpyHeader(path)).toMatchObject({ rows: 0, columns: 5 });
  });

  it.each([
    ['text', Buffer.from('hello, this is no matrix at all'), /it is not a .npy file/],
    ['a vector', npy(literal('<f4', '(3,)'), new Uint8Array(12)), /it is not a matrix/],
    ['integers', npy(literal('<i8', '(1, 1)'), new Uint8Array(8)), /its numbers are <i8/],
    ['big-endian numbers', npy(literal('>f4', '(1, 1)'), new Uint8Array(4)), /its numbers are >f4/],
    ['Fortran order', npy(literal('<f4', '(1, 1)', 'True'), new Uint8Array(4)), /Fortran order/],
    ['a file that is cut', npy(literal('<f4', '(2, 2)'), new Uint8Array(12)), /bytes instead of 144/],
  ])('refuses %s', async (_, bytes, message) => {
    await expect(read(bytes)).rejects.toThrow(message);
  });
});
