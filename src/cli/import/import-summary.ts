import type { ImportTally } from './import-tally.js';
import type { NeighbourShare } from './neighbour-share.js';

export interface ImportOutcome {
  readonly collection: string;
  /** Whether the collection was created for this import. */
  readonly created: boolean;
  readonly tally: ImportTally;
  /** How long the import took, the measure not included. */
  readonly seconds: number;
  readonly neighbours: NeighbourShare | undefined;
}

/** Failures that are listed one by one for people; all that are remembered are in the JSON. */
const MAX_LISTED = 20;

/** Prints how an import went on standard output. */
export function printSummary(outcome: ImportOutcome, asJson: boolean): void {
  process.stdout.write(asJson ? `${JSON.stringify(toJson(outcome))}\n` : toText(outcome));
}

function toJson({ collection, created, tally, seconds, neighbours }: ImportOutcome): object {
  const { stored, replaced, unchanged, duplicates, failed, skipped, failures, skippedKinds, leftOutFields } =
    tally;
  return {
    collection,
    created,
    stored,
    replaced,
    unchanged,
    duplicates,
    failed,
    skipped,
    seconds: Number(seconds.toFixed(3)),
    failures,
    skippedDuplicates: tally.skippedDuplicates,
    skippedByExtension: Object.fromEntries(skippedKinds),
    leftOutFields: Object.fromEntries(leftOutFields),
    nearestNeighbour: neighbours === undefined ? null : { ...neighbours, share: shareOf(neighbours) },
  };
}

function toText({ collection, tally, seconds, neighbours }: ImportOutcome): string {
  const { stored, replaced, unchanged, failed, skipped, failures, skippedKinds, leftOutFields } = tally;
  const lines: string[] = [];
  for (const { source, reason } of failures.slice(0, MAX_LISTED)) lines.push(`failed: ${source}: ${reason}`);
  for (const { source, duplicateOf } of tally.skippedDuplicates.slice(0, MAX_LISTED))
    lines.push(`duplicate: ${source}: the same as ${duplicateOf}`);
  if (tally.duplicates > MAX_LISTED)
    lines.push(`duplicate: ${tally.duplicates - Math.min(MAX_LISTED, tally.skippedDuplicates.length)} more`);
  if (failed > MAX_LISTED) lines.push(`failed: ${failed - Math.min(MAX_LISTED, failures.length)} more`);
  for (const [field, images] of leftOutFields) {
    lines.push(
      `metadata field ${field} left out of ${images} images: it is neither text, number, boolean nor a flat list`,
    );
  }
  const kinds = [...skippedKinds].map(
    ([extension, files]) => `${files} ${extension === '' ? 'without extension' : `.${extension}`}`,
  );
  const others = skipped === 0 ? '' : ` other files (${kinds.join(', ')})`;
  const same = tally.duplicates === 0 ? '' : ` ${tally.duplicates} duplicates,`;
  lines.push(
    `${collection}: ${stored} stored, ${replaced} replaced, ${unchanged} unchanged,${same} ${failed} failed, ${skipped} skipped${others}; ` +
      `${seconds.toFixed(1)} s, ${(tally.images / Math.max(seconds, 1e-3)).toFixed(1)} images/s`,
  );
  if (neighbours !== undefined) {
    lines.push(
      `nearest neighbour of the same ${neighbours.field}: ${(100 * shareOf(neighbours)).toFixed(1)} % of ${neighbours.images}`,
    );
  }
  return lines.map((line) => `${line}\n`).join('');
}

function shareOf({ same, images }: NeighbourShare): number {
  return images === 0 ? 0 : same / images;
}
