import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { DinoError } from '../../errors.js';
import type { ProblemCode } from '../../errors.js';
import type { Engine, EngineOptions } from './engine.js';

/** What can be asked of the engine's thread: the engine's methods, and `open` to only open it. */
type Operations = Omit<Engine, 'needsUpkeep'> & { open(): void };

export type EngineOperation = keyof Operations;

export interface EngineTask<K extends EngineOperation> {
  readonly operation: K;
  readonly args: Parameters<Operations[K]>;
}

/** How an operation ended, as data that crosses threads. */
export type EngineOutcome<T> =
  | {
      readonly ok: true;
      readonly value: T;
      /** Whether work on graphs is left to do. */
      readonly upkeep: boolean;
    }
  | {
      readonly ok: false;
      readonly code: ProblemCode;
      readonly detail: string;
      /** Stack of the error behind it. */
      readonly cause: string | undefined;
    };

/** `warnings` are for the operator, however it ended. */
export type EngineReply<T> = EngineOutcome<T> & { readonly warnings: readonly string[] };

type Success<T> = Extract<EngineReply<T>, { ok: true }>;

const ENTRY = fileURLToPath(new URL('./store-worker.js', import.meta.url));

/**
 * The thread that the engine lives in, given one operation at a time in the order of the calls, and
 * slices of upkeep in between while a graph is behind.
 *
 * If the thread dies, the operation in progress fails as `internal` (a write may or may not be on
 * disk), and the next one starts a fresh thread from what is on disk.
 */
export class EngineThread {
  private pool: Piscina | undefined;
  private last: Promise<unknown> = Promise.resolve();
  private upkeep: Promise<void> | undefined;
  private closing: Promise<void> | undefined;

  private constructor(
    private readonly options: EngineOptions,
    private readonly onWarning: (message: string) => void,
  ) {}

  /** Starts the thread and opens the engine in it. @throws what opening the engine throws */
  static async start(options: EngineOptions, onWarning: (message: string) => void): Promise<EngineThread> {
    const thread = new EngineThread(options, onWarning);
    try {
      await thread.call('open', []);
    } catch (error) {
      await thread.end();
      throw error;
    }
    return thread;
  }

  /**
   * @param transfer buffers in `args` that are handed over instead of copied
   * @throws the engine's DinoError; internal when the thread died; not-ready after `close`
   */
  async call<K extends EngineOperation>(
    operation: K,
    args: Parameters<Operations[K]>,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<ReturnType<Operations[K]>> {
    if (this.closing !== undefined) throw new DinoError('not-ready', 'The store has been closed.');
    const { value, upkeep } = await this.exchange(operation, args, transfer);
    if (upkeep && this.closing === undefined) this.upkeep ??= this.keepUp();
    return value;
  }

  /** Resolves when no work on graphs is under way: all of it is done, or it failed and warned. */
  async settle(): Promise<void> {
    while (this.upkeep !== undefined) await this.upkeep;
  }

  /** Lets the calls made so far finish, closes the engine and ends the thread. */
  close(): Promise<void> {
    this.closing ??= this.exchange('close', [], [])
      .then(() => undefined)
      .finally(() => this.end());
    return this.closing;
  }

  private async keepUp(): Promise<void> {
    try {
      for (let more = true; more && this.closing === undefined;) {
        more = (await this.exchange('upkeep', [], [])).upkeep;
      }
    } catch (error) {
      this.onWarning(`Work on a graph stopped: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      this.upkeep = undefined;
    }
  }

  private async exchange<K extends EngineOperation>(
    operation: K,
    args: Parameters<Operations[K]>,
    transfer: readonly ArrayBuffer[],
  ): Promise<Success<ReturnType<Operations[K]>>> {
    const turn = this.last.then(() => this.send({ operation, args }, transfer));
    this.last = turn.catch(() => undefined);
    const reply = await turn;
    for (const warning of reply.warnings) this.onWarning(warning);
    if (reply.ok) return reply as Success<ReturnType<Operations[K]>>;
    const cause = reply.cause === undefined ? undefined : new Error(reply.cause);
    throw new DinoError(reply.code, reply.detail, { cause });
  }

  private async send<K extends EngineOperation>(
    task: EngineTask<K>,
    transfer: readonly ArrayBuffer[],
  ): Promise<EngineReply<unknown>> {
    const pool = (this.pool ??= this.startPool());
    try {
      return (await pool.run(task, { transferList: [...transfer] })) as EngineReply<unknown>;
    } catch (cause) {
      throw new DinoError(
        'internal',
        'The thread of the store ended unexpectedly; the next call starts it anew.',
        { cause },
      );
    }
  }

  private startPool(): Piscina {
    const pool: Piscina = new Piscina({
      filename: ENTRY,
      workerData: this.options,
      // Started by the first task; a pool that lost its thread is not used again.
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: Infinity,
    });
    // Without a listener the event would be thrown.
    pool.on('error', (error: Error) => this.onWarning(`The thread of the store failed: ${error.message}`));
    pool.on('workerDestroy', () => {
      if (this.pool !== pool) return;
      this.pool = undefined;
      // A task that still waits for the thread to start would wait forever. Later, because the pool is in
      // the middle of its own event.
      setImmediate(() => void pool.destroy());
    });
    return pool;
  }

  private async end(): Promise<void> {
    const pool = this.pool;
    this.pool = undefined;
    await pool?.destroy();
  }
}
