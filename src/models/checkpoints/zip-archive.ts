import { Readable } from 'node:stream';
import { fromRandomAccessReaderPromise, RandomAccessReader, type Entry, type ZipFile } from 'yauzl';
import { CheckpointError, cutOff, damaged, quote } from './checkpoint-error.js';
import { crc32 } from './crc32.js';
import type { RandomAccessFile } from './random-access-file.js';
import type { StorageBytes } from './storage-bytes.js';

/** A checkpoint has an entry per storage. */
const MAX_ENTRIES = 100_000;
const STORED = 0;
const DEFLATED = 8;

/**
 * The entries of a zip archive by name. The file stays the caller's, who closes it.
 *
 * @throws CheckpointError
 */
export async function readZipDirectory(file: RandomAccessFile): Promise<ReadonlyMap<string, ZipEntry>> {
  const entries = new Map<string, ZipEntry>();
  try {
    const zip = await fromRandomAccessReaderPromise(new ZipReader(file), file.size, { autoClose: false });
    if (zip.entryCount > MAX_ENTRIES) throw damaged(file.path, `it has ${zip.entryCount} parts`);
    for await (const entry of zip.eachEntry()) {
      const name = entry.fileName;
      if (entries.has(name)) throw damaged(file.path, `it has two parts called ${quote(name)}`);
      entries.set(name, new ZipEntry(zip, entry, file));
    }
  } catch (error) {
    throw explain(error, file.path);
  }
  return entries;
}

/** One part of an archive. Its checksum is compared when it is read for the first time. */
export class ZipEntry implements StorageBytes {
  readonly #zip: ZipFile;
  readonly #entry: Entry;
  readonly #file: RandomAccessFile;
  #verified = false;

  constructor(zip: ZipFile, entry: Entry, file: RandomAccessFile) {
    this.#zip = zip;
    this.#entry = entry;
    this.#file = file;
  }

  get byteLength(): number {
    return this.#entry.uncompressedSize;
  }

  async *read(start: number, end: number): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      if (this.#verified && this.#entry.compressionMethod === STORED) yield* this.#stored(start, end);
      else yield* this.#verifying(start, end);
    } catch (error) {
      throw explain(error, this.#where);
    }
  }

  /** All of it. @throws CheckpointError when it has more than `limit` bytes */
  async readAll(limit: number): Promise<Buffer> {
    if (this.byteLength > limit) {
      throw damaged(this.#where, `it unpacks to ${this.byteLength} bytes, more than a checkpoint needs`);
    }
    const pieces: Buffer[] = [];
    for await (const piece of this.read(0, this.byteLength)) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces);
  }

  get #where(): string {
    return `${this.#file.path} (${quote(this.#entry.fileName)})`;
  }

  /** Reads everything, so that the checksum can be compared, and hands out what was asked for. */
  async *#verifying(start: number, end: number): AsyncGenerator<Uint8Array, void, undefined> {
    let position = 0;
    let sum = 0;
    for await (const piece of await this.#pieces()) {
      sum = crc32(piece, sum);
      const from = Math.max(start - position, 0);
      const to = Math.min(end - position, piece.length);
      if (from < to) yield piece.subarray(from, to);
      position += piece.length;
    }
    if (sum !== this.#entry.crc32) throw damaged(this.#where, 'its contents do not match their checksum');
    this.#verified = true;
  }

  async #pieces(): Promise<AsyncIterable<Uint8Array>> {
    const entry = this.#entry;
    if (entry.isEncrypted())
      throw new CheckpointError(`${this.#where} is encrypted. Decrypt the file first.`);
    if (entry.compressionMethod === STORED) return this.#stored(0, this.byteLength);
    if (entry.compressionMethod === DEFLATED) return this.#zip.openReadStreamPromise(entry);
    throw new CheckpointError(
      `${this.#where} is compressed by method ${entry.compressionMethod}, which PyTorch does not use. ` +
        'Pack the archive again, stored or deflated.',
    );
  }

  async *#stored(start: number, end: number): AsyncGenerator<Uint8Array, void, undefined> {
    const { fileDataStart } = await this.#zip.readLocalFileHeaderPromise(this.#entry, { minimal: true });
    yield* this.#file.stream(fileDataStart + start, fileDataStart + end);
  }
}

/** Lets yauzl read through our file, which refuses positions outside it. */
class ZipReader extends RandomAccessReader {
  readonly #file: RandomAccessFile;

  constructor(file: RandomAccessFile) {
    super();
    this.#file = file;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    this.#file.read(position, length).then(
      (bytes) => {
        bytes.copy(buffer, offset);
        callback(null, length);
      },
      (error: Error) => callback(error),
    );
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return Readable.from(copies(this.#file.stream(start, end)));
  }
}

/** Streams hold several pieces at a time. */
async function* copies(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  for await (const piece of pieces) yield Buffer.from(piece);
}

function explain(error: unknown, where: string): Error {
  if (error instanceof CheckpointError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (message.startsWith('End of central directory record signature not found')) {
    return cutOff(where, 'the directory at the end of the zip archive is missing', error);
  }
  return damaged(where, `its zip archive is not valid (${quote(message)})`, error);
}
