import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createDeflate } from 'node:zlib';

/** The same row of pixels several times over, top to bottom. */
export interface RowRun {
  /** One byte a pixel: a grey value, or an index into the palette. */
  readonly row: Uint8Array;
  readonly count: number;
}

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const GREY = 0;
const INDEXED = 3;
/** PNG's filter that stores the difference to the row above: zeros for a repeated row. */
const UP = 2;

/**
 * Writes a PNG of 8 bits a pixel in which rows repeat, as in every picture made of patches. Repeated rows cost
 * next to nothing here and zlib runs on another thread, so a mask of 50 megapixels does not hold up the event loop.
 *
 * @param picture.runs rows of equal length; their counts sum to the height, at least 1
 * @param picture.palette RGBA, 4 bytes an index; without it the pixels are grey values
 */
export async function encodeRowsAsPng(picture: {
  runs: readonly RowRun[];
  palette?: Uint8Array;
}): Promise<Buffer> {
  const { runs, palette } = picture;
  const width = runs[0]?.row.length ?? 0;
  const height = runs.reduce((sum, { count }) => sum + count, 0);
  if (width === 0 || height === 0) throw new RangeError(`a picture of ${width} x ${height} px`);
  if (runs.some(({ row }) => row.length !== width)) throw new RangeError('rows of different lengths');
  const compressed: Buffer[] = [];
  await pipeline(Readable.from(filteredRows(runs, width)), createDeflate(), async (pieces) => {
    for await (const piece of pieces) compressed.push(piece as Buffer);
  });
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header(width, height, palette === undefined ? GREY : INDEXED)),
    ...(palette === undefined ? [] : paletteChunks(palette)),
    chunk('IDAT', Buffer.concat(compressed)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** The rows as PNG stores them, each after the number of its filter, in pieces of about a megabyte. */
function* filteredRows(runs: readonly RowRun[], width: number): Generator<Buffer> {
  const stride = width + 1;
  const tallest = runs.reduce((most, { count }) => Math.max(most, count), 0);
  const repeats = Buffer.alloc(stride * Math.min(tallest, Math.ceil(1_000_000 / stride)));
  for (let offset = 0; offset < repeats.length; offset += stride) repeats[offset] = UP;
  for (const { row, count } of runs) {
    if (count === 0) continue;
    const first = Buffer.alloc(stride);
    first.set(row, 1);
    yield first;
    for (let left = (count - 1) * stride; left > 0; left -= repeats.length) yield repeats.subarray(0, left);
  }
}

/**
 * Gives a grey PNG a palette: its grey values become indices. The pixels stay as they are, compressed.
 *
 * @param png 8-bit grey without alpha
 * @param palette RGBA, 4 bytes for each of 256 grey values
 */
export function colourGreyPng(png: Buffer, palette: Uint8Array): Buffer {
  const headerEnd = SIGNATURE.length + 25;
  const bitDepth = png[SIGNATURE.length + 16];
  const colourType = png[SIGNATURE.length + 17];
  if (bitDepth !== 8 || colourType !== GREY) throw new RangeError('not an 8-bit grey PNG');
  const width = png.readUInt32BE(SIGNATURE.length + 8);
  const height = png.readUInt32BE(SIGNATURE.length + 12);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header(width, height, INDEXED)),
    ...paletteChunks(palette),
    png.subarray(headerEnd),
  ]);
}

function header(width: number, height: number, colourType: number): Buffer {
  const data = Buffer.alloc(13);
  data.writeUInt32BE(width, 0);
  data.writeUInt32BE(height, 4);
  data[8] = 8;
  data[9] = colourType;
  return data;
}

function paletteChunks(palette: Uint8Array): Buffer[] {
  const entries = palette.length / 4;
  const colours = Buffer.alloc(entries * 3);
  const alphas = Buffer.alloc(entries);
  for (let entry = 0; entry < entries; entry++) {
    colours.set(palette.subarray(entry * 4, entry * 4 + 3), entry * 3);
    alphas[entry] = palette[entry * 4 + 3]!;
  }
  const isOpaque = alphas.every((alpha) => alpha === 255);
  return isOpaque ? [chunk('PLTE', colours)] : [chunk('PLTE', colours), chunk('tRNS', alphas)];
}

function chunk(type: string, data: Buffer): Buffer {
  const bytes = Buffer.alloc(12 + data.length);
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(type, 4, 'latin1');
  data.copy(bytes, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** The CRC of the PNG specification, annex D; `zlib.crc32` came only with Node 20.15. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let at = 0; at < bytes.length; at++) crc = CRC_TABLE[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
