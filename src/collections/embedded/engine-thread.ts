import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { DinoError } from '../../errors.js';
import { CallQueue } from './call-queue.js';
import type { QueuedCall } from './call-queue.js';
import { kindOf } from './engine-calls.js';
import type { EngineOperation, EngineReply, EngineTask, Operations } from './engine-calls.js';
import type { EngineOptions } from './engine.js';

interface EngineCall extends QueuedCall {
  readonly task: EngineTask<EngineOperation>;
  readonly transfer: readonly ArrayBuffer[];
  resolve(value: unknown): void;
  reject(error: DinoError): void;
}

/**
 * V8's young part of the thread's heap, at most: three times what it fills before it looks what is alive, and of a call next
 * to nothing is. Unless told, it doubles that twice over the first minutes of full load, for nothing.
 */
const YOUNG_MB = 12;

const ENTRY = fileURLToPath(new URL('./store-worker.js', import.meta.url));

/**
 * The thread that the engine lives in, given one message at a time: an operation, the writes that wait, which share a
 * commit, or the quick reads that wait. In between, slices of upkeep while a graph is behind. `CallQueue` says in what order.
 *
 * If the thread dies, what was in progress fails as `internal` (a write may or may not be on disk), and the next call
 * starts a fresh thread from what is on disk.
 */
export class EngineThread {
  private pool: Piscina | undefined;
  private readonly queue = new CallQueue<EngineCall>();
  private pumping = false;
  /** What the thread said last. */
  private needsUpkeep = false;
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
    const value = await this.enqueue(operation, args, transfer);
    if (this.needsUpkeep && this.closing === undefined) this.upkeep ??= this.keepUp();
    return value;
  }

  /** Resolves when no work on graphs is under way: all of it is done, or it failed and warned. */
  async settle(): Promise<void> {
    while (this.upkeep !== undefined) await this.upkeep;
  }

  /** Lets the calls made so far finish, closes the engine and ends the thread. */
  close(): Promise<void> {
    this.closing ??= this.enqueue('close', [], [])
      .then(() => undefined)
      .finally(() => this.end());
    return this.closing;
  }

  private async keepUp(): Promise<void> {
    try {
      do await this.enqueue('upkeep', [], []);
      while (this.needsUpkeep && this.closing === undefined);
    } catch (error) {
      this.onWarning(`Work on a graph stopped: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      this.upkeep = undefined;
    }
  }

  private enqueue<K extends EngineOperation>(
    operation: K,
    args: Parameters<Operations[K]>,
    transfer: readonly ArrayBuffer[],
  ): Promise<ReturnType<Operations[K]>> {
    return new Promise((resolve, reject) => {
      this.queue.push({
        kind: kindOf(operation),
        bytes: transfer.reduce((sum, { byteLength }) => sum + byteLength, 0),
        task: { operation, args },
        transfer,
        resolve,
        reject,
      });
      if (!this.pumping) void this.pump();
    });
  }

  /** Gives the thread what waits, until nothing does. */
  private async pump(): Promise<void> {
    this.pumping = true;
    // Writes that are made in the same breath go together.
    await Promise.resolve();
    for (let calls = this.queue.take(); calls.length > 0; calls = this.queue.take())
      await this.exchange(calls);
    this.pumping = false;
  }

  /** Has calls done with one message to the thread, and settles them; never fails. */
  private async exchange(calls: readonly EngineCall[]): Promise<void> {
    let reply: EngineReply;
    try {
      reply = await this.send(
        calls.map(({ task }) => task),
        calls.flatMap(({ transfer }) => transfer),
      );
    } catch (cause) {
      const detail = 'The thread of the store ended unexpectedly; the next call starts it anew.';
      for (const call of calls) call.reject(new DinoError('internal', detail, { cause }));
      return;
    }
    this.needsUpkeep = reply.upkeep;
    for (const warning of reply.warnings) this.onWarning(warning);
    this.queue.giveBack(calls.slice(reply.outcomes.length));
    reply.outcomes.forEach((outcome, i) => {
      if (outcome.ok) return calls[i]!.resolve(outcome.value);
      const cause = outcome.cause === undefined ? undefined : new Error(outcome.cause);
      calls[i]!.reject(new DinoError(outcome.code, outcome.detail, { cause }));
    });
  }

  private async send(
    tasks: readonly EngineTask<EngineOperation>[],
    transfer: readonly ArrayBuffer[],
  ): Promise<EngineReply> {
    const pool = (this.pool ??= this.startPool());
    return (await pool.run(tasks, { transferList: [...transfer] })) as EngineReply;
  }

  private startPool(): Piscina {
    const pool: Piscina = new Piscina({
      filename: ENTRY,
      workerData: this.options,
      // Started by the first task; a pool that lost its thread is not used again.
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: Infinity,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
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
