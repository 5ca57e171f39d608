import { open, readFile, rename, type FileHandle } from 'node:fs/promises';
import type { ImageEmbedding } from '../image-embedding.js';
import { decodeRecord, encodeRecord, type KeyedEmbedding } from './embedding-record.js';

export { RECORD_OVERHEAD } from './embedding-record.js';

/** The entries that are to stay, those used last first. */
export type LiveEntries = () => Iterable<KeyedEmbedding>;

export interface EmbeddingLogOptions {
  /** The file; no other process may use it. */
  readonly path: string;
  /** Size past which only what is in memory is kept, by writing the file anew. */
  readonly maxBytes: number;
  /** Told, in one sentence, why the file is not read or written on. */
  readonly onWarning: (message: string) => void;
}

/**
 * Embeddings in a file, one after the other as they are made. It is a cache: what a crash cuts off, or a disk damages,
 * is left out when it is read, and trouble with it fails no request.
 */
export class EmbeddingLog {
  readonly #options: EmbeddingLogOptions;
  #waiting: Buffer[] = [];
  #live: LiveEntries | undefined;
  #writing: Promise<void> | undefined;
  #file: FileHandle | undefined;
  #bytes = 0;
  #failed = false;

  constructor(options: EmbeddingLogOptions) {
    this.#options = options;
  }

  /** All sound records up to the first that is not, in the order they were written; what follows is cut off. */
  async load(): Promise<KeyedEmbedding[]> {
    const entries: KeyedEmbedding[] = [];
    try {
      const file = await readFile(this.#options.path).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return Buffer.alloc(0);
        throw error;
      });
      let end = 0;
      for (let record = decodeRecord(file, 0); record !== undefined; record = decodeRecord(file, end)) {
        entries.push(record.entry);
        end = record.end;
      }
      if (end < file.length) {
        this.#options.onWarning(
          `${this.#options.path}: ${file.length - end} bytes of cached embeddings are damaged or cut off and left out.`,
        );
      }
      this.#file = await open(this.#options.path, 'a');
      await this.#file.truncate(end);
      this.#bytes = end;
    } catch (error) {
      this.#giveUp(error);
    }
    return entries;
  }

  /** Writes an embedding in the background. @param live what to keep when the file has grown too large */
  append(key: string, embedding: ImageEmbedding, live: LiveEntries): void {
    if (this.#failed) return;
    this.#waiting.push(encodeRecord(key, embedding));
    this.#live = live;
    this.#writing ??= this.#write();
  }

  /** Writes what waits and closes the file. */
  async close(): Promise<void> {
    await this.#writing;
    this.#failed = true;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #write(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const records = Buffer.concat(this.#waiting);
        this.#waiting = [];
        if (this.#bytes + records.length > this.#options.maxBytes) {
          await this.#rewrite(this.#live!());
        } else {
          await this.#file!.appendFile(records);
          this.#bytes += records.length;
        }
      }
    } catch (error) {
      this.#giveUp(error);
    } finally {
      this.#writing = undefined;
    }
  }

  /** Puts a file of the given entries in the place of this one. */
  async #rewrite(entries: Iterable<KeyedEmbedding>): Promise<void> {
    const { path, maxBytes } = this.#options;
    const records: Buffer[] = [];
    let bytes = 0;
    for (const [key, embedding] of entries) {
      const record = encodeRecord(key, embedding);
      // Half of the room, so that the next time comes after as much again.
      if (bytes + record.length > maxBytes / 2) break;
      records.push(record);
      bytes += record.length;
    }
    const fresh = await open(`${path}.new`, 'w');
    try {
      // The last used go last, as if they had just been made.
      await fresh.appendFile(Buffer.concat(records.reverse()));
      await rename(`${path}.new`, path);
    } catch (error) {
      await fresh.close();
      throw error;
    }
    await this.#file!.close();
    this.#file = fresh;
    this.#bytes = bytes;
  }

  #giveUp(error: unknown): void {
    this.#failed = true;
    this.#waiting = [];
    this.#options.onWarning(
      `${this.#options.path}: cached embeddings are not kept on disk from now on (${(error as Error).message}).`,
    );
  }
}
