import { readSync, writeSync } from 'node:fs';

/**
 * How the service and a model's process talk: a frame is the lengths of its header and its payload (two uint32, little
 * endian), the header as JSON, and the payload as it is. Pixels and features are megabytes of plain numbers: so none of
 * them is serialised, and each is copied once on either side, to and from the kernel.
 */
export interface Frame<Header> {
  readonly header: Header;
  /** Memory of its own, or of the room that it was read into. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

const PREFIX_BYTES = 8;

/** What comes before the payload. */
export function encodeHead(header: object, payloadBytes: number): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32LE(json.length, 0);
  prefix.writeUInt32LE(payloadBytes, 4);
  return Buffer.concat([prefix, json]);
}

function lengthsOf(prefix: Uint8Array): { header: number; payload: number } {
  const view = new DataView(prefix.buffer, prefix.byteOffset);
  return { header: view.getUint32(0, true), payload: view.getUint32(4, true) };
}

function decodeHeader<Header>(bytes: Uint8Array): Header {
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()) as Header;
}

/** Puts frames together from the pieces in which a stream brings them. */
export class FrameReader<Header> {
  readonly #onFrame: (frame: Frame<Header>) => void;
  /** What is being filled: the prefix, then the header, then the payload. */
  #into = new Uint8Array(PREFIX_BYTES);
  #filled = 0;
  #payloadBytes = 0;
  #header: Header | undefined;
  #stage: 'prefix' | 'header' | 'payload' = 'prefix';

  constructor(onFrame: (frame: Frame<Header>) => void) {
    this.#onFrame = onFrame;
  }

  push(piece: Uint8Array): void {
    for (let at = 0; at < piece.length;) {
      const taken = piece.subarray(at, at + this.#into.length - this.#filled);
      this.#into.set(taken, this.#filled);
      this.#filled += taken.length;
      at += taken.length;
      if (this.#filled === this.#into.length) this.#advance();
    }
  }

  #advance(): void {
    const full = this.#into;
    if (this.#stage === 'prefix') {
      const { header, payload } = lengthsOf(full);
      this.#payloadBytes = payload;
      this.#expect('header', header);
    } else if (this.#stage === 'header' && this.#payloadBytes > 0) {
      this.#header = decodeHeader<Header>(full);
      this.#expect('payload', this.#payloadBytes);
    } else {
      const isBare = this.#stage === 'header';
      const header = isBare ? decodeHeader<Header>(full) : this.#header!;
      const payload = isBare ? new Uint8Array() : full;
      this.#expect('prefix', PREFIX_BYTES);
      this.#onFrame({ header, payload });
    }
  }

  #expect(stage: 'prefix' | 'header' | 'payload', bytes: number): void {
    this.#stage = stage;
    this.#into = new Uint8Array(bytes);
    this.#filled = 0;
  }
}

/**
 * Memory for payloads of which one is needed at a time: as large as the largest so far. Memory of their own would be garbage
 * after each, of which V8 lets 32 MB come together before it looks, and the allocator keeps it.
 */
export class PayloadRoom {
  #bytes = new Uint8Array();

  /** Of this length, to be filled; what was taken before is overwritten by it. */
  take(length: number): Uint8Array<ArrayBuffer> {
    if (length > this.#bytes.length) this.#bytes = new Uint8Array(length);
    return this.#bytes.subarray(0, length);
  }
}

/** Waits for a frame, whose payload is in the room; undefined where the other end has closed. */
export function readFrame<Header>(fd: number, room: PayloadRoom): Frame<Header> | undefined {
  const prefix = readExactly(fd, new Uint8Array(PREFIX_BYTES));
  if (prefix === undefined) return undefined;
  const lengths = lengthsOf(prefix);
  const header = readExactly(fd, new Uint8Array(lengths.header));
  const payload = header && readExactly(fd, room.take(lengths.payload));
  return payload && { header: decodeHeader<Header>(header), payload };
}

/** Writes a frame whose payload is these parts one after the other. @throws an error that `isGone` knows where the other end has closed */
export function writeFrame(fd: number, header: object, parts: readonly Uint8Array[]): void {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  for (const part of [encodeHead(header, bytes), ...parts]) {
    for (let at = 0; at < part.length;) at += writeSync(fd, part, at);
  }
}

/** Fills all of it. */
function readExactly(fd: number, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | undefined {
  for (let at = 0; at < bytes.length;) {
    const read = readSome(fd, bytes, at);
    if (read === 0) return undefined;
    at += read;
  }
  return bytes;
}

/** 0 where the other end has closed, and where it was killed with answers unread, which resets the connection. */
function readSome(fd: number, into: Uint8Array, at: number): number {
  try {
    return readSync(fd, into, at, into.length - at, null);
  } catch (error) {
    if (isGone(error)) return 0;
    throw error;
  }
}

/** Whether reading or writing failed because nobody is at the other end any more. */
export function isGone(error: unknown): boolean {
  return ['EPIPE', 'ECONNRESET'].includes((error as NodeJS.ErrnoException).code ?? '');
}
