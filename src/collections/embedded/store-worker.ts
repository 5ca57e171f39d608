import { inspect } from 'node:util';
import { workerData } from 'node:worker_threads';
import { DinoError } from '../../errors.js';
import { Engine } from './engine.js';
import type { EngineOptions } from './engine.js';
import { GROUPED, QUICK } from './engine-calls.js';
import type { EngineOperation, EngineOutcome, EngineReply, EngineTask } from './engine-calls.js';
import { explainStorageError } from './storage-errors.js';

/** Time after which quick reads are answered, and those of the same message that have not been begun come again. */
const QUICK_MS = 2;

let engine: Engine | undefined;
let warnings: string[] = [];

/**
 * Entry of the store's thread: one operation of the engine, several writes that share a commit, or several quick reads,
 * per call. The engine
 * is opened by the first call, so that a thread started after a crash carries on from what is on disk. Never throws:
 * failures travel as data, because an error that crosses threads loses its class.
 */
export default async function run(tasks: readonly EngineTask<EngineOperation>[]): Promise<EngineReply> {
  const outcomes = await attempt(tasks);
  const reply = { outcomes, upkeep: engine?.needsUpkeep ?? false, warnings };
  warnings = [];
  return reply;
}

async function attempt(tasks: readonly EngineTask<EngineOperation>[]): Promise<EngineOutcome[]> {
  try {
    if (tasks.some(({ operation }) => GROUPED.has(operation))) {
      const puts = tasks.filter(({ operation }) => operation === 'putImages');
      const outcomes = await openEngine().writeTogether(
        tasks.map((task) => () => perform(task)),
        puts.map(({ args }) => args as Parameters<Engine['putImages']>),
      );
      return outcomes.map((settled) => (settled.ok ? settled : describe(settled.error)));
    }
    const outcomes: EngineOutcome[] = [];
    const end = performance.now() + QUICK_MS;
    for (const task of tasks) {
      outcomes.push(await outcomeOf(task));
      if (QUICK.has(task.operation) && performance.now() >= end) break;
    }
    return outcomes;
  } catch (error) {
    return tasks.map(() => describe(error));
  }
}

async function outcomeOf(task: EngineTask<EngineOperation>): Promise<EngineOutcome> {
  try {
    return { ok: true, value: await perform(task) };
  } catch (error) {
    return describe(error);
  }
}

function perform({ operation, args }: EngineTask<EngineOperation>): unknown {
  if (operation === 'close') {
    engine?.close();
    engine = undefined;
    return undefined;
  }
  if (operation === 'open') return void openEngine();
  // The types tie the arguments to the operation where it is called; here that knowledge is gone.
  const operations = openEngine() as unknown as Record<string, (...args: readonly unknown[]) => unknown>;
  return operations[operation]!(...args);
}

function openEngine(): Engine {
  return (engine ??= Engine.open(workerData as EngineOptions, (message) => warnings.push(message)));
}

function describe(error: unknown): EngineOutcome {
  const known = error instanceof DinoError ? error : explainStorageError(error);
  return known !== undefined
    ? { ok: false, code: known.code, detail: known.message, cause: stackOf(known.cause) }
    : { ok: false, code: 'internal', detail: 'The store failed.', cause: stackOf(error) };
}

function stackOf(error: unknown): string | undefined {
  if (error === undefined) return undefined;
  return error instanceof Error ? (error.stack ?? error.message) : inspect(error);
}
