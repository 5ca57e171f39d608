import { open, type FileHandle } from 'node:fs/promises';
import { CheckpointError, cutOff } from './checkpoint-error.js';

/** Bytes per read; a multiple of every element's size. */
const CHUNK_BYTES = 1 << 20;

/** A file that is read in places. Every failure is a CheckpointError. */
export class RandomAccessFile {
  readonly #handle: FileHandle;
  readonly path: string;
  /** Bytes. */
  readonly size: number;

  private constructor(handle: FileHandle, path: string, size: number) {
    this.#handle = handle;
    this.path = path;
    this.size = size;
  }

  /** @throws CheckpointError when there is no such file or it can't be read */
  static async open(path: string): Promise<RandomAccessFile> {
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, 'r');
      const stat = await handle.stat();
      if (!stat.isFile())
        throw new CheckpointError(`${path} is not a file. Give the path of a checkpoint file.`);
      return new RandomAccessFile(handle, path, stat.size);
    } catch (error) {
      await handle?.close();
      throw unreadable(path, error);
    }
  }

  /** @throws CheckpointError when the file ends before `position + length` */
  async read(position: number, length: number): Promise<Buffer> {
    this.#checkRange(position, position + length);
    const buffer = Buffer.allocUnsafe(length);
    await this.#fill(buffer, position);
    return buffer;
  }

  /** Bytes `start` to `end` in pieces of at most 1 MiB. A piece is overwritten by the next one. */
  async *stream(start: number, end: number): AsyncGenerator<Buffer, void, undefined> {
    this.#checkRange(start, end);
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, end - start));
    for (let position = start; position < end; position += buffer.length) {
      const piece = buffer.subarray(0, Math.min(buffer.length, end - position));
      await this.#fill(piece, position);
      yield piece;
    }
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  #checkRange(start: number, end: number): void {
    const valid = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end;
    if (!valid || end > this.size) {
      throw cutOff(this.path, `it should have at least ${end} bytes and has ${this.size}`);
    }
  }

  async #fill(buffer: Buffer, position: number): Promise<void> {
    for (let filled = 0; filled < buffer.length;) {
      let bytesRead;
      try {
        ({ bytesRead } = await this.#handle.read(buffer, filled, buffer.length - filled, position + filled));
      } catch (error) {
        throw unreadable(this.path, error);
      }
      if (bytesRead === 0) throw cutOff(this.path, 'it became shorter while it was read');
      filled += bytesRead;
    }
  }
}

/** The answer to a failed system call. */
export function unreadable(path: string, error: unknown): Error {
  if (error instanceof CheckpointError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === undefined) return error as Error;
  const reason = code === 'ENOENT' ? `There is no ${path}.` : `${path} can't be read (${code}).`;
  return new CheckpointError(`${reason} Check the path and its permissions.`, { cause: error });
}
