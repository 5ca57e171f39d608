import { inspect } from 'node:util';
import { workerData } from 'node:worker_threads';
import { DinoError } from '../../errors.js';
import { Engine } from './engine.js';
import type { EngineOptions } from './engine.js';
import type { EngineOperation, EngineOutcome, EngineReply, EngineTask } from './engine-thread.js';

let engine: Engine | undefined;
let warnings: string[] = [];

/**
 * Entry of the store's thread: one operation of the engine per call. The engine is opened by the first
 * call, so that a thread started after a crash carries on from what is on disk. Never throws: failures
 * travel as data, because an error that crosses threads loses its class.
 */
export default function run(task: EngineTask<EngineOperation>): EngineReply<unknown> {
  const outcome = attempt(task);
  const reply = { ...outcome, warnings };
  warnings = [];
  return reply;
}

function attempt(task: EngineTask<EngineOperation>): EngineOutcome<unknown> {
  try {
    const value = perform(task);
    return { ok: true, value, upkeep: engine?.needsUpkeep ?? false };
  } catch (error) {
    return error instanceof DinoError
      ? { ok: false, code: error.code, detail: error.message, cause: stackOf(error.cause) }
      : { ok: false, code: 'internal', detail: 'The store failed.', cause: stackOf(error) };
  }
}

function perform({ operation, args }: EngineTask<EngineOperation>): unknown {
  if (operation === 'close') {
    engine?.close();
    engine = undefined;
    return undefined;
  }
  engine ??= Engine.open(workerData as EngineOptions, (message) => warnings.push(message));
  if (operation === 'open') return undefined;
  // The types tie the arguments to the operation where it is called; here that knowledge is gone.
  const operations = engine as unknown as Record<string, (...args: readonly unknown[]) => unknown>;
  return operations[operation]!(...args);
}

function stackOf(error: unknown): string | undefined {
  if (error === undefined) return undefined;
  return error instanceof Error ? (error.stack ?? error.message) : inspect(error);
}
