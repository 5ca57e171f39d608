import { createHash } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ModelWriteError } from './model-write-error.js';

/** At most this much is handed to the system at once, so that an abort is noticed. */
const CHUNK_BYTES = 8 * 2 ** 20;

export interface FinishedFile {
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** A new file that knows its SHA-256 when it is complete. */
export class HashedFile {
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #signal: AbortSignal | undefined;
  readonly #hash = createHash('sha256');
  #bytes = 0;

  private constructor(path: string, handle: FileHandle, signal: AbortSignal | undefined) {
    this.path = path;
    this.#handle = handle;
    this.#signal = signal;
  }

  /** @throws ModelWriteError when it can't be created */
  static async create(path: string, signal?: AbortSignal): Promise<HashedFile> {
    return new HashedFile(path, await open(path, 'w').catch((cause: unknown) => fail(path, cause)), signal);
  }

  /** Bytes written so far: the offset of what comes next. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @throws ModelWriteError when the disk is full or refuses; the signal's reason when it is aborted */
  async write(content: Uint8Array): Promise<void> {
    let start = 0;
    while (start < content.length) {
      this.#signal?.throwIfAborted();
      const chunk = content.subarray(start, start + CHUNK_BYTES);
      // Fewer bytes than asked for is no error.
      const { bytesWritten } = await this.#handle
        .write(chunk)
        .catch((cause: unknown) => fail(this.path, cause));
      this.#hash.update(chunk.subarray(0, bytesWritten));
      this.#bytes += bytesWritten;
      start += bytesWritten;
    }
  }

  /** Writes zeros up to the next multiple of `alignment` bytes. */
  async alignTo(alignment: number): Promise<void> {
    const over = this.#bytes % alignment;
    if (over > 0) await this.write(new Uint8Array(alignment - over));
  }

  /** On the disk when it returns. @throws ModelWriteError as `write` does */
  async finish(): Promise<FinishedFile> {
    try {
      await this.#handle.sync();
    } catch (cause) {
      fail(this.path, cause);
    } finally {
      await this.#handle.close();
    }
    return { path: this.path, sha256: this.#hash.digest('hex'), bytes: this.#bytes };
  }

  /** Gives up: closes the file and removes it. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    await rm(this.path, { force: true });
  }
}

function fail(path: string, cause: unknown): never {
  const { code, message } = cause as NodeJS.ErrnoException;
  const folder = dirname(path);
  const reason =
    code === 'ENOSPC' || code === 'EDQUOT'
      ? `there is no space left for the model in ${folder}: free some and run it again`
      : `${path} can't be written (${code ?? message}): check that ${folder} is there and may be written to`;
  throw new ModelWriteError(reason, { cause });
}
