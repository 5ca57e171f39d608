import { expect, test } from 'vitest';
import { crc32, crc32ByTable } from '#dino/models/checkpoints/crc32.js';
import { decodeElements } from '#dino/models/checkpoints/elements.js';

function decode(dtype: Parameters<typeof decodeElements>[1]['dtype'], bytes: number[], littleEndian = true) {
  const out = new Float32Array(3).fill(7);
  decodeElements(Uint8Array.from(bytes), { dtype, littleEndian }, out, 1);
  return out[1];
}

test('half precision has signed zeros, subnormal numbers, infinities and no-numbers', () => {
  expect(decode('float16', [0x00, 0x80])).toBe(-0);
  expect(decode('float16', [0x01, 0x00])).toBe(2 ** -24);
  expect(decode('float16', [0xff, 0x7b])).toBe(65504);
  expect(decode('float16', [0x00, 0xfc])).toBe(-Infinity);
  expect(decode('float16', [0x01, 0x7e])).toBeNaN();
});

test('bfloat16 is the upper half of a float32', () => {
  expect(decode('bfloat16', [0x80, 0x3f])).toBe(1);
  expect(decode('bfloat16', [0x49, 0xc0])).toBe(-3.140625);
});

test('the byte order is the one asked for', () => {
  expect(decode('float16', [0x3c, 0x00], false)).toBe(1);
  expect(decode('float32', [0x40, 0x20, 0x00, 0x00], false)).toBe(2.5);
  expect(decode('float64', [0xc0, 0x04, 0, 0, 0, 0, 0, 0], false)).toBe(-2.5);
  expect(decode('int32', [0xff, 0xff, 0xff, 0xfe], false)).toBe(-2);
});

test('only the places of the given elements are written', () => {
  const out = new Float32Array(3).fill(7);
  decodeElements(Uint8Array.from([0, 2]), { dtype: 'bool', littleEndian: true }, out, 1);
  expect([...out]).toEqual([7, 0, 1]);
});

test('the checksum by table, for old Node versions, is the one of zlib', () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => (i * 37) % 256);
  expect(crc32ByTable(bytes, 0)).toBe(crc32(bytes, 0));
  expect(crc32ByTable(bytes.subarray(500), crc32ByTable(bytes.subarray(0, 500), 0))).toBe(crc32(bytes, 0));
  expect(crc32ByTable(Buffer.from('123456789'), 0)).toBe(0xcbf43926);
});
