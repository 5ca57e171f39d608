import * as zlib from 'node:zlib';

/** CRC-32 of `bytes`, continuing from `crc` (0 at the start), as zip archives use it. */
export const crc32: (bytes: Uint8Array, crc: number) => number =
  // Node has its own since 20.15; 20.9 is promised to work.
  typeof (zlib as { crc32?: unknown }).crc32 === 'function' ? zlib.crc32 : crc32ByTable;

/** The reflected polynomial 0xEDB88320, a byte at a time. */
export function crc32ByTable(bytes: Uint8Array, crc: number): number {
  let state = ~crc;
  for (const byte of bytes) state = TABLE[(state ^ byte) & 0xff]! ^ (state >>> 8);
  return ~state >>> 0;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let entry = byte;
  for (let bit = 0; bit < 8; bit++) entry = entry & 1 ? 0xedb88320 ^ (entry >>> 1) : entry >>> 1;
  return entry;
});
