import { CheckpointError, cutOff, damaged } from '../checkpoint-error.js';

/** Only a part of the file was given, and the pickle goes on behind it. */
export class MoreBytesNeeded extends Error {
  override readonly name = 'MoreBytesNeeded';
}

export interface PickleSource {
  readonly bytes: Uint8Array;
  /** Nothing follows `bytes`: a pickle that is not finished there is cut off. */
  readonly whole: boolean;
  /** What the bytes are, for error messages. */
  readonly where: string;
}

/** A pickle's structure, names and small values; the tensors themselves lie outside it. */
export const MAX_PICKLE_BYTES = 64 * 2 ** 20;
/** Names of classes and numbers written as text. */
const MAX_LINE_BYTES = 1024;
/** Python writes integers of any size; nothing in a checkpoint needs more. */
const MAX_LONG_BYTES = 1024;

const NEWLINE = 0x0a;

/** Reads the arguments of opcodes, and nothing past the end. */
export class PickleReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #source: PickleSource;
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  position: number;

  constructor(source: PickleSource, position = 0) {
    this.#source = source;
    this.#bytes = source.bytes;
    this.#view = new DataView(source.bytes.buffer, source.bytes.byteOffset, source.bytes.byteLength);
    this.position = position;
  }

  uint8(): number {
    return this.#bytes[this.#advance(1)]!;
  }

  uint16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#advance(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  /** Big-endian, the only number in a pickle that is. */
  float64(): number {
    return this.#view.getFloat64(this.#advance(8), false);
  }

  /** An 8-byte length. */
  length64(): number {
    return Number(this.#view.getBigUint64(this.#advance(8), true));
  }

  take(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  text(length: number): string {
    try {
      return this.#utf8.decode(this.take(length));
    } catch (error) {
      if (error instanceof CheckpointError || error instanceof MoreBytesNeeded) throw error;
      throw damaged(this.#source.where, 'its pickle has text that is not UTF-8', error);
    }
  }

  /** Bytes up to the end of the line, as Latin-1 text. */
  line(limit = MAX_LINE_BYTES): string {
    const end = this.#bytes.subarray(0, this.position + limit + 1).indexOf(NEWLINE, this.position);
    if (end === -1) {
      // Ends with the right error: past the limit, cut off, or more to be read.
      if (this.#bytes.length - this.position <= limit) this.#advance(this.#bytes.length - this.position + 1);
      throw damaged(this.#source.where, `its pickle has a line of more than ${limit} bytes`);
    }
    const line = Buffer.from(this.#bytes.subarray(this.position, end)).toString('latin1');
    this.position = end + 1;
    return line;
  }

  /** Bytes up to the end of a line of any length. */
  longLine(): string {
    return this.line(MAX_PICKLE_BYTES);
  }

  /** A two's complement little-endian integer of `length` bytes. */
  long(length: number): number | bigint {
    if (length < 0 || length > MAX_LONG_BYTES) {
      throw damaged(this.#source.where, `its pickle has an integer of ${length} bytes`);
    }
    const bytes = this.take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
    return toNumber(length === 0 ? 0n : BigInt.asIntN(8 * length, value));
  }

  /** @returns where the `length` bytes begin that were stepped over */
  #advance(length: number): number {
    const start = this.position;
    if (length > MAX_PICKLE_BYTES || start + length > MAX_PICKLE_BYTES) {
      throw damaged(
        this.#source.where,
        `its pickle has a part of ${length} bytes, more than a checkpoint needs`,
      );
    }
    if (start + length > this.#bytes.length) {
      if (!this.#source.whole) throw new MoreBytesNeeded();
      throw cutOff(this.#source.where, 'its pickle ends in the middle');
    }
    this.position = start + length;
    return start;
  }
}

/** Integers that JavaScript's numbers hold exactly are numbers. */
export function toNumber(value: bigint): number | bigint {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}
