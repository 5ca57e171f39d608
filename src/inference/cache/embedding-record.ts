import { createHash } from 'node:crypto';
import type { ImageEmbedding } from '../image-embedding.js';

/** An embedding under its key. */
export type KeyedEmbedding = readonly [key: string, embedding: ImageEmbedding];

/** Changes with the layout of a record. */
const MAGIC = 0x31454e44;
const HEAD = 8;
const KEY = 32;
const FIXED = KEY + 16;
const CHECK = 8;

/** About what a record has beside its vector, in bytes. */
export const RECORD_OVERHEAD = HEAD + FIXED + 16 + CHECK;

/**
 * A record of the log, little-endian: `DNE1`, length of what follows up to the check (uint32), key (32 bytes), width,
 * height, patches and length of the media type (uint32 each), media type, vector (float32), first 8 bytes of the
 * SHA-256 of all from the key on.
 */
export function encodeRecord(key: string, { vector, info, patches }: ImageEmbedding): Buffer {
  const mediaType = Buffer.from(info.mediaType, 'latin1');
  const length = FIXED + mediaType.length + vector.byteLength;
  const record = Buffer.alloc(HEAD + length + CHECK);
  record.writeUInt32LE(MAGIC, 0);
  record.writeUInt32LE(length, 4);
  record.write(key, HEAD, 'hex');
  [info.width, info.height, patches, mediaType.length].forEach((value, i) =>
    record.writeUInt32LE(value, HEAD + KEY + 4 * i),
  );
  record.set(mediaType, HEAD + FIXED);
  record.set(
    new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength),
    HEAD + FIXED + mediaType.length,
  );
  record.set(checkOf(record.subarray(HEAD, HEAD + length)), HEAD + length);
  return record;
}

/** @returns the record at this place and where the next one begins; undefined where no whole and sound record is */
export function decodeRecord(
  file: Buffer,
  at: number,
): { readonly entry: KeyedEmbedding; readonly end: number } | undefined {
  if (at + HEAD > file.length || file.readUInt32LE(at) !== MAGIC) return undefined;
  const length = file.readUInt32LE(at + 4);
  const start = at + HEAD;
  const end = start + length + CHECK;
  if (length < FIXED || end > file.length) return undefined;
  const body = file.subarray(start, start + length);
  if (!checkOf(body).equals(file.subarray(start + length, end))) return undefined;
  const [width, height, patches, typeLength] = [0, 1, 2, 3].map((i) => body.readUInt32LE(KEY + 4 * i));
  const mediaType = body.toString('latin1', FIXED, FIXED + typeLength!);
  // A copy, because a vector must lie on a multiple of four.
  const vector = new Float32Array(new Uint8Array(body.subarray(FIXED + typeLength!)).buffer);
  const info = { mediaType, width, height } as ImageEmbedding['info'];
  return { entry: [body.toString('hex', 0, KEY), { vector, info, patches: patches! }], end };
}

function checkOf(body: Uint8Array): Buffer {
  return createHash('sha256').update(body).digest().subarray(0, CHECK);
}
