import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { DownloadError } from './download-error.js';

const recordSchema = z.object({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.int().nonnegative(),
  /** When it was recorded, ISO 8601. */
  recorded: z.string(),
  /** Where it came from, when that was a mirror. */
  from: z.string().optional(),
  etag: z.string().optional(),
  lastModified: z.string().optional(),
});

/** What a published file was like when it was first downloaded. */
export type ChecksumRecord = z.infer<typeof recordSchema>;

const fileSchema = z.record(z.string(), recordSchema);

/**
 * The SHA-256 of every file ever downloaded, by its public address, in a `checksums.json`: the authors publish none,
 * so the first download is trusted and every later one, from wherever it comes, is held against it.
 */
export class Checksums {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** @throws DownloadError when the file can't be read */
  async find(url: string): Promise<ChecksumRecord | undefined> {
    return (await this.#read())[url];
  }

  /**
   * Holds a file against its record; without one, this is the record from now on.
   *
   * @returns whether it was recorded just now
   * @throws DownloadError when it is another file than the one recorded
   */
  async check(url: string, found: Omit<ChecksumRecord, 'recorded'>): Promise<boolean> {
    const records = await this.#read();
    const known = records[url];
    if (known === undefined) {
      records[url] = { ...found, recorded: new Date().toISOString() };
      await this.#write(records);
      return true;
    }
    if (known.sha256 === found.sha256) return false;
    throw new DownloadError(
      `${found.from ?? url} is not the file that was first downloaded on ${known.recorded.slice(0, 10)}${known.from === undefined ? '' : ` from ${known.from}`}: ` +
        `its SHA-256 is ${found.sha256}, not ${known.sha256}${howItDiffers(known, found)}. ` +
        `It was not used. If its publisher has replaced it and you trust the new file, remove "${url}" from ${this.path} and run the same command again.`,
    );
  }

  async #read(): Promise<Record<string, ChecksumRecord>> {
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
      throw new DownloadError(`${this.path} can't be read (${(error as NodeJS.ErrnoException).code}).`, {
        cause: error,
      });
    }
    try {
      return fileSchema.parse(JSON.parse(text));
    } catch (cause) {
      throw new DownloadError(
        `${this.path} is damaged. Restore it from a backup; without it, downloads can't be held against the first ones.`,
        { cause },
      );
    }
  }

  async #write(records: Record<string, ChecksumRecord>): Promise<void> {
    const temporary = `${this.path}.${process.pid}.tmp`;
    await writeFile(temporary, `${JSON.stringify(records, undefined, 2)}\n`);
    await rename(temporary, this.path);
  }
}

/** Bytes, ETag and date, where they differ: a hint at whether it was replaced or damaged on its way. */
function howItDiffers(known: ChecksumRecord, found: Omit<ChecksumRecord, 'recorded'>): string {
  const differences: string[] = [];
  if (known.bytes !== found.bytes) differences.push(`${found.bytes} bytes, not ${known.bytes}`);
  if (known.etag !== undefined && found.etag !== undefined && known.etag !== found.etag) {
    differences.push(`ETag ${found.etag}, not ${known.etag}`);
  }
  if (known.lastModified !== found.lastModified && found.lastModified !== undefined) {
    differences.push(`last modified ${found.lastModified}`);
  }
  return differences.length === 0 ? '' : ` (${differences.join('; ')})`;
}
