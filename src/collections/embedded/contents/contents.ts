import { refuse, show } from '../../input-checks.js';
import type { ImageRecord } from '../../validate-image.js';
import { sha256 } from '../../../sha256.js';
import type { ContentFiles } from './content-files.js';
import type { ContentTable } from './content-table.js';

interface Parts {
  readonly files: ContentFiles;
  readonly table: ContentTable;
  /** Originals of so many bytes are files; smaller ones are in the database. */
  readonly filesFrom: number;
  readonly warn: (message: string) => void;
}

/**
 * The originals that are files. A file is on the disk before the row that names it is committed, and is removed after the
 * last such row is gone; what a crash leaves without a row is found by a walk through all files after each start.
 *
 * Everything here happens on the store's thread, one call at a time: between the writing of a file and the commit of its
 * row nothing is removed.
 */
export class Contents {
  /** What went wrong with an original of the writes under way, by its bytes. */
  private failures = new Map<Uint8Array, unknown>();
  /** Hashes that may have lost their last row. */
  private readonly suspects = new Set<string>();
  private walk: Iterator<string[], undefined> | undefined;
  private unseen: string[] = [];
  private moving: boolean;
  private held = false;

  constructor(private readonly parts: Parts) {
    this.moving = parts.table.hasToMove();
    this.sweep();
  }

  isFile(content: Uint8Array): boolean {
    return content.byteLength >= this.parts.filesFrom;
  }

  /** Before the rows of these images are written: puts their large originals on the disk. Failures are for `require`. */
  async write(images: readonly ImageRecord[]): Promise<void> {
    this.failures = new Map();
    const wanted = new Map<string, Uint8Array>();
    const asked: { hash: string; content: Uint8Array }[] = [];
    const check = async ({ id, content, contentHash: hash }: ImageRecord): Promise<void> => {
      if (content === undefined || !this.isFile(content)) return;
      asked.push({ hash, content });
      try {
        // Under a wrong name it would be another image's original.
        if ((await sha256(content)) !== hash)
          refuse(`contentHash of image ${show(id)} is not the SHA-256 of its content.`);
        wanted.set(hash, content);
      } catch (error) {
        this.failures.set(content, error);
      }
    };
    await Promise.all(images.map(check));
    if (wanted.size === 0) return;
    const failed = await this.parts.files.write(wanted);
    for (const { hash, content } of asked) {
      this.suspects.add(hash);
      if (failed.has(hash)) this.failures.set(content, failed.get(hash));
    }
  }

  /** @throws what went wrong with one of these images' originals */
  require(images: readonly ImageRecord[]): void {
    for (const { content } of images)
      if (content !== undefined && this.failures.has(content)) throw this.failures.get(content);
  }

  /** A row that named this content is gone, or will be. */
  released(hash: string | undefined): void {
    if (hash !== undefined) this.suspects.add(hash);
  }

  /** After the commits: removes the files that nothing names. */
  settle(): void {
    this.failures.clear();
    if (this.held) return;
    for (const hash of this.suspects) this.removeUnnamed(hash);
    this.suspects.clear();
  }

  private removeUnnamed(hash: string): void {
    if (this.parts.table.isNamed(hash)) return;
    try {
      this.parts.files.remove(hash);
    } catch (error) {
      this.parts.warn(`The file of a deleted original remains until the next start (${String(error)}).`);
    }
  }

  /** Begins to look through all files for those that nothing names. */
  sweep(): void {
    this.walk = this.parts.files.list();
  }

  get isHeld(): boolean {
    return this.held;
  }

  /** Keeps every file until `release`, so that a copy of the database can be completed. */
  hold(): void {
    this.held = true;
  }

  release(): void {
    this.held = false;
    this.settle();
  }

  get needsUpkeep(): boolean {
    return this.moving || (!this.held && (this.walk !== undefined || this.unseen.length > 0));
  }

  /** Goes on with the looking through, and with the moving of what older versions left in the database. */
  async upkeep(mayGoOn: () => boolean): Promise<void> {
    while (this.needsUpkeep && mayGoOn()) {
      if (this.moving) await this.moveNext();
      else this.sweepNext();
    }
  }

  private sweepNext(): void {
    const hash = this.unseen.pop();
    if (hash !== undefined) return this.removeUnnamed(hash);
    try {
      const { done, value } = this.walk!.next();
      if (done === true) this.walk = undefined;
      else this.unseen = value;
    } catch (error) {
      this.walk = undefined;
      this.parts.warn(`Files of deleted originals may remain until the next start (${String(error)}).`);
    }
  }

  private async moveNext(): Promise<void> {
    const { table, files, warn } = this.parts;
    const next = table.nextToMove();
    if (next === undefined) {
      this.moving = false;
      return;
    }
    const { image, hash, content } = next;
    // One that is damaged stays where it is, and reading it says so.
    const isWhole = content !== null && (await sha256(content)) === hash;
    try {
      if (isWhole)
        for (const failure of (await files.write(new Map([[hash, content]]))).values()) throw failure;
      table.moved(image, isWhole);
    } catch (error) {
      this.moving = false;
      warn(`Originals remain in the database until the next start: they can't be moved (${String(error)}).`);
    }
  }
}
