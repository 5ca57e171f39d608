import type { RandomAccessFile } from './random-access-file.js';

/** The bytes of one storage, wherever they lie. */
export interface StorageBytes {
  readonly byteLength: number;
  /** Bytes `start` to `end` in pieces, each valid until the next is asked for. @throws CheckpointError */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
}

/** Bytes `start` to `end` of a file. */
export function bytesOfFile(file: RandomAccessFile, start: number, end: number): StorageBytes {
  return {
    byteLength: end - start,
    read: (from, to) => file.stream(start + from, start + to),
  };
}

/** Bytes that are in memory already. */
export function bytesInMemory(bytes: Uint8Array): StorageBytes {
  return {
    byteLength: bytes.length,
    async *read(start, end) {
      yield bytes.subarray(start, end);
    },
  };
}

/** Bytes `start` to `end` of other bytes. */
export function partOf(whole: StorageBytes, start: number, end: number): StorageBytes {
  return {
    byteLength: end - start,
    read: (from, to) => whole.read(start + from, start + to),
  };
}
