import type { BatchResult } from '../../client/resources.js';

export interface ImportFailure {
  /** Where the image is. */
  readonly source: string;
  readonly reason: string;
}

export interface SkippedDuplicate {
  /** Where the image is. */
  readonly source: string;
  /** Id of the image that has the same content. */
  readonly duplicateOf: string | null;
}

/** As many failures are remembered with their reasons; all are counted. */
const MAX_FAILURES = 1000;
/** As many kinds of skipped files and left out fields are told apart. */
const MAX_KINDS = 20;

/** What became of everything that an import has met so far. */
export class ImportTally {
  stored = 0;
  replaced = 0;
  unchanged = 0;
  /** Not stored: the collection has their content under another id. */
  duplicates = 0;
  failed = 0;
  skipped = 0;
  /** Images with the label field. */
  labelled = 0;
  readonly failures: ImportFailure[] = [];
  /** The first of the duplicates. */
  readonly skippedDuplicates: SkippedDuplicate[] = [];
  /** Skipped files by extension. */
  readonly skippedKinds = new Map<string, number>();
  /** Metadata fields that did not fit, by name. */
  readonly leftOutFields = new Map<string, number>();

  /** Images that have been dealt with, one way or the other. */
  get images(): number {
    return this.stored + this.replaced + this.unchanged + this.duplicates + this.failed;
  }

  add(source: string, result: BatchResult): void {
    if (result.status === 'failed') this.fail(source, result.error?.detail ?? 'the server gave no reason');
    else if (result.status === 'created') this.stored += 1;
    else if (result.status === 'duplicate') this.skipDuplicate(source, result.duplicateOf);
    else this[result.status] += 1;
  }

  fail(source: string, reason: string): void {
    this.failed += 1;
    if (this.failures.length < MAX_FAILURES) this.failures.push({ source, reason });
  }

  /** @param original id of the image that has the same content; undefined where that has gone since */
  private skipDuplicate(source: string, original: string | undefined): void {
    this.duplicates += 1;
    if (this.skippedDuplicates.length < MAX_FAILURES)
      this.skippedDuplicates.push({ source, duplicateOf: original ?? null });
  }

  skip(extension: string): void {
    this.skipped += 1;
    count(this.skippedKinds, extension);
  }

  leaveOut(fields: readonly string[]): void {
    for (const field of fields) count(this.leftOutFields, field);
  }
}

function count(kinds: Map<string, number>, kind: string): void {
  const known = kinds.has(kind) || kinds.size < MAX_KINDS ? kind : 'other';
  kinds.set(known, (kinds.get(known) ?? 0) + 1);
}
