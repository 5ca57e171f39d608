import type { BatchResult } from '../../client/resources.js';

export interface ImportFailure {
  /** Where the image is. */
  readonly source: string;
  readonly reason: string;
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
  failed = 0;
  skipped = 0;
  /** Images with the label field. */
  labelled = 0;
  readonly failures: ImportFailure[] = [];
  /** Skipped files by extension. */
  readonly skippedKinds = new Map<string, number>();
  /** Metadata fields that did not fit, by name. */
  readonly leftOutFields = new Map<string, number>();

  /** Images that have been dealt with, one way or the other. */
  get images(): number {
    return this.stored + this.replaced + this.unchanged + this.failed;
  }

  add(source: string, result: BatchResult): void {
    if (result.status === 'failed') this.fail(source, result.error?.detail ?? 'the server gave no reason');
    else if (result.status === 'created') this.stored += 1;
    else this[result.status] += 1;
  }

  fail(source: string, reason: string): void {
    this.failed += 1;
    if (this.failures.length < MAX_FAILURES) this.failures.push({ source, reason });
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
