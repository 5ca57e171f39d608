import type { ProblemCode } from '../../errors.js';
import type { CallKind } from './call-queue.js';
import type { Engine } from './engine.js';

/** What can be asked of the engine's thread: the engine's methods, and `open` to only open it. */
export type Operations = Omit<Engine, 'needsUpkeep' | 'writeTogether'> & { open(): void };

export type EngineOperation = keyof Operations;

export interface EngineTask<K extends EngineOperation> {
  readonly operation: K;
  readonly args: Parameters<Operations[K]>;
}

/** How an operation ended, as data that crosses threads. */
export type EngineOutcome =
  | { readonly ok: true; readonly value: unknown }
  | {
      readonly ok: false;
      readonly code: ProblemCode;
      readonly detail: string;
      /** Stack of the error behind it. */
      readonly cause: string | undefined;
    };

/** The thread's answer to one message. */
export interface EngineReply {
  /** One per task, in order; of quick reads perhaps only the first: the others have not been begun. */
  readonly outcomes: readonly EngineOutcome[];
  /** Whether work on graphs is left to do. */
  readonly upkeep: boolean;
  /** For the operator, however it ended. */
  readonly warnings: readonly string[];
}

/** Writes that share commits: they put off what they show in memory with `GroupCommit.afterCommit`. */
export const GROUPED: ReadonlySet<EngineOperation> = new Set<EngineOperation>([
  'putImages',
  'patchMetadata',
  'deleteImage',
]);

/**
 * Reads that mostly take less than the way to the thread. One that does not ends its message; see `QUICK_MS` in
 * store-worker.
 */
export const QUICK: ReadonlySet<EngineOperation> = new Set<EngineOperation>([
  'getCollection',
  'listCollections',
  'getImage',
  'findImages',
  'findContents',
  'getVectors',
  'getAlias',
  'listAliases',
  'search',
  'searchStored',
]);

/** Operations that change nothing a write looks at, so that writes may be done before them. */
const READS: ReadonlySet<EngineOperation> = new Set<EngineOperation>([
  'findContent',
  'getThumbnail',
  'listImages',
  'listPending',
  'countWithoutOriginal',
  'countImages',
  'facets',
  'startDuplicates',
  'stepDuplicates',
  'endDuplicates',
  'indexStatus',
  'commitCounts',
  'beginBackup',
  'continueBackup',
  'endBackup',
  'upkeep',
]);

export function kindOf(operation: EngineOperation): CallKind {
  if (GROUPED.has(operation)) return 'write';
  if (QUICK.has(operation)) return 'quick';
  return READS.has(operation) ? 'read' : 'alone';
}
