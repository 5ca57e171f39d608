import { open, readFile, rename, rm, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { z } from 'zod';

const validatorsSchema = z.object({
  url: z.string(),
  etag: z.string().optional(),
  lastModified: z.string().optional(),
  /** Size of the whole file. */
  totalBytes: z.int().nonnegative().optional(),
});

/** What tells whether a file on a server is still the one that was begun. */
export type Validators = z.infer<typeof validatorsSchema>;

/** The beginning of a file: `<file>.part`, and beside it in `<file>.part.json` what it is the beginning of. */
export class PartialFile {
  readonly target: string;
  readonly path: string;
  readonly #notes: string;

  constructor(target: string) {
    this.target = target;
    this.path = `${target}.part`;
    this.#notes = `${target}.part.json`;
  }

  /** @returns undefined where there is nothing to go on from */
  async state(): Promise<{ readonly bytes: number; readonly validators: Validators } | undefined> {
    try {
      const validators = validatorsSchema.parse(JSON.parse(await readFile(this.#notes, 'utf8')));
      const { size } = await stat(this.path);
      return size > 0 ? { bytes: size, validators } : undefined;
    } catch {
      // Neither half is worth anything without the other.
      return undefined;
    }
  }

  /** Begins anew. */
  async begin(validators: Validators): Promise<FileHandle> {
    // Without its notes the old beginning is nobody's, so that a crash between the two mixes no files.
    await rm(this.#notes, { force: true });
    const handle = await open(this.path, 'w');
    await writeFile(this.#notes, JSON.stringify(validators));
    return handle;
  }

  /** Goes on behind what is there. */
  continue(): Promise<FileHandle> {
    return open(this.path, 'a');
  }

  async discard(): Promise<void> {
    await rm(this.#notes, { force: true });
    await rm(this.path, { force: true });
  }

  /** Makes it the whole file. */
  async complete(): Promise<void> {
    const handle = await open(this.path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(this.path, this.target);
    await rm(this.#notes, { force: true });
  }
}
