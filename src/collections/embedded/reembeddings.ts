import { randomUUID } from 'node:crypto';
import { DinoError } from '../../errors.js';
import type {
  FinishOutcome,
  ModelIdentity,
  NextVector,
  PendingImage,
  ReembeddingProgress,
} from '../collection-store.js';
import { show } from '../input-checks.js';
import { toUnitVector } from '../unit-vector.js';
import type { CollectionIndex } from './collection-index.js';
import type { GraphFiles } from './graph-files.js';
import type { OpenCollection } from './open-collection.js';
import type { CollectionRow, LabelledVector, SqliteCatalog } from './sqlite-catalog.js';

/** Vectors that the next graph may lack when it is swapped in: searches scan those beside it. */
const MISSING_AT_SWAP = 1000;

interface Parts {
  readonly catalog: SqliteCatalog;
  readonly files: GraphFiles;
  readonly createIndex: (row: CollectionRow) => CollectionIndex;
  readonly decode: (stored: LabelledVector, row: CollectionRow) => Float32Array;
  readonly warn: (message: string) => void;
}

/**
 * Gives collections another model. The next vectors are on disk in the table that the collection does not use, and in
 * memory in an index of their own; the swap changes the collection's row in one transaction.
 *
 * After a crash the collection is as it was; what had been made is taken up by the next `begin` for the same model.
 */
export class Reembeddings {
  /** Collections whose unused table is to be emptied, with the version that the last step ended with. */
  private readonly leftovers = new Map<number, { open: OpenCollection; after: number }>();

  constructor(private readonly parts: Parts) {}

  begin(open: OpenCollection, next: ModelIdentity): ReembeddingProgress {
    const { row } = open;
    if (row.modelFingerprint === next.modelFingerprint) {
      throw new DinoError(
        'conflict',
        `Collection "${row.name}" is of the model ${row.model} already; there is nothing to re-embed.`,
      );
    }
    if (row.content !== 'original') {
      throw new DinoError(
        'conflict',
        `Collection "${row.name}" keeps no originals (content "${row.content}"), so nothing can be re-embedded. Alter its content to "original", and store its images again.`,
      );
    }
    if (open.objects.size > 0) {
      throw new DinoError(
        'conflict',
        `Collection "${row.name}" has the vectors of ${open.objects.size} objects, which are not re-embedded. Store the images that have them again without objects, or into a new collection of the other model.`,
      );
    }
    if (open.next?.row.modelFingerprint !== next.modelFingerprint) {
      this.forget(open);
      open.next = this.load(row, next);
    }
    return progress(open);
  }

  private load(row: CollectionRow, next: ModelIdentity): NonNullable<OpenCollection['next']> {
    const { catalog, createIndex, decode } = this.parts;
    const key = catalog.reembeddings.begin(row, next, randomUUID());
    this.leftovers.delete(row.row);
    const nextRow: CollectionRow = { ...row, ...next, key, side: row.side === 0 ? 1 : 0 };
    const index = createIndex(nextRow);
    for (const stored of catalog.vectors(nextRow)) {
      index.vectors.add(stored.label, stored.id, decode(stored, nextRow));
    }
    return { row: nextRow, index };
  }

  listPending(open: OpenCollection, after: number, limit: number): PendingImage[] {
    requireNext(open);
    return this.parts.catalog.reembeddings.listPending(open.row, after, limit);
  }

  put(open: OpenCollection, vectors: readonly NextVector[]): ReembeddingProgress {
    const { row, index } = requireNext(open);
    const units = vectors.map(({ id, version, vector }) => ({
      id,
      version,
      vector: toUnitVector(vector, row.dimension, `The next vector of image ${show(id)}`),
    }));
    index.vectors.reserve(units.length);
    const taken = this.parts.catalog.reembeddings.put(open.row, units);
    units.forEach(({ id, version, vector }, i) => {
      if (taken[i] && !index.vectors.has(version)) index.insert(version, id, vector);
    });
    return progress(open);
  }

  finish(open: OpenCollection, dropMissing: boolean): FinishOutcome {
    const { row, index } = requireNext(open);
    const { catalog, files, warn } = this.parts;
    const { count: missing, ids } = catalog.reembeddings.withoutOriginal(row, 20);
    if (missing > 0 && !dropMissing) {
      throw new DinoError(
        'conflict',
        `${missing} images of collection "${row.name}" have no original to make a vector of: ${ids.join(', ')}${missing > ids.length ? ', …' : ''}. Store them again, or let them be dropped.`,
      );
    }
    if (index.vectors.size + missing < open.index.vectors.size) return { state: 'pending' };
    const { graph, upkeep } = index.status();
    if (upkeep && (graph === null || graph.missing > MISSING_AT_SWAP)) return { state: 'indexing' };

    const before = open.row;
    catalog.reembeddings.swap(before, row);
    open.index.dispose();
    open.row = row;
    open.index = index;
    delete open.next;
    this.leftovers.set(row.row, { open, after: -1 });
    try {
      files.remove(before.key);
    } catch (error) {
      warn(`Graph files of collection "${row.name}" remain until the next start (${String(error)}).`);
    }
    return { state: 'swapped', dropped: missing };
  }

  /** Forgets what has been made, on disk too. */
  cancel(open: OpenCollection): void {
    this.parts.catalog.reembeddings.cancel(open.row);
    this.forget(open);
    this.leftovers.set(open.row.row, { open, after: -1 });
  }

  private forget(open: OpenCollection): void {
    if (open.next === undefined) return;
    const { key } = open.next.row;
    open.next.index.dispose();
    delete open.next;
    try {
      this.parts.files.remove(key);
    } catch (error) {
      this.parts.warn(`Graph files of a re-embedding remain until the next start (${String(error)}).`);
    }
  }

  /** After a start: what a sweep before it has left. */
  findLeftovers(collections: Iterable<OpenCollection>): void {
    const rows = new Set(this.parts.catalog.reembeddings.withLeftovers());
    for (const open of collections) {
      if (rows.has(open.row.row)) this.leftovers.set(open.row.row, { open, after: -1 });
    }
  }

  get hasLeftovers(): boolean {
    return this.leftovers.size > 0;
  }

  /** Empties unused tables, for as long as `mayGoOn` says. */
  sweep(mayGoOn: () => boolean): void {
    for (const [row, { open, after }] of this.leftovers) {
      let last: number | undefined = after;
      while (last !== undefined && mayGoOn()) {
        last = this.parts.catalog.reembeddings.sweep(open.row, last);
      }
      if (last !== undefined) {
        this.leftovers.set(row, { open, after: last });
        return;
      }
      this.leftovers.delete(row);
    }
  }
}

function requireNext({ row, next }: OpenCollection): NonNullable<OpenCollection['next']> {
  if (next === undefined) {
    throw new DinoError(
      'conflict',
      `No re-embedding of collection "${row.name}" is under way. Begin one first.`,
    );
  }
  return next;
}

function progress({ index, next }: OpenCollection): ReembeddingProgress {
  return { done: next!.index.vectors.size, total: index.vectors.size };
}
