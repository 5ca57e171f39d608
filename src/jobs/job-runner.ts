import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { DinoError } from '../errors.js';
import type { Job, JobContext, JobResult, JobState, JobWork } from './job.js';

export interface JobRunnerOptions {
  /** Jobs that run at once, 1 or more; the others wait for their turn. Default 2. */
  readonly maxRunning?: number;
  /** Jobs that may wait; one more is refused as overloaded. Default 100. */
  readonly maxQueued?: number;
  /** Finished jobs that are remembered, the latest. Default 100. */
  readonly keepFinished?: number;
  /** Told of failures that nobody foresaw, for the operator. */
  readonly onFailure?: (error: unknown, job: Job) => void;
}

export interface JobTopic {
  /** The collection that the job works on. */
  readonly collection?: string;
  /** Refuse to start while a job of this kind for this collection waits or runs. Default false. */
  readonly alone?: boolean;
}

/** Which jobs to list: those that agree with all that is given. */
export interface JobFilter {
  readonly kind?: string;
  readonly collection?: string;
  readonly state?: JobState;
}

/**
 * Work that takes longer than a request: started by one, watched and cancelled by others. A job lives as long as the
 * service; whatever it does has to be safe to start again.
 */
export class JobRunner {
  readonly #maxRunning: number;
  readonly #maxQueued: number;
  readonly #keepFinished: number;
  readonly #onFailure: (error: unknown, job: Job) => void;
  /** In the order of their start. */
  readonly #jobs = new Map<string, TrackedJob>();
  #closed = false;

  constructor(options: JobRunnerOptions = {}) {
    this.#maxRunning = options.maxRunning ?? 2;
    this.#maxQueued = options.maxQueued ?? 100;
    this.#keepFinished = options.keepFinished ?? 100;
    this.#onFailure = options.onFailure ?? (() => undefined);
  }

  /**
   * Puts a job into the queue.
   *
   * @param kind what it does, a word of the API such as `reembed`
   * @throws DinoError overloaded when too many wait; conflict when it must be alone and is not; not-ready after `close`
   */
  start(kind: string, { collection, alone = false }: JobTopic, work: JobWork): Job {
    if (this.#closed) throw new DinoError('not-ready', 'The service is stopping.', { retryAfterSeconds: 5 });
    const other =
      alone && this.#unfinished().find((job) => job.kind === kind && job.collection === collection);
    if (other) {
      const where = collection === undefined ? '' : ` of collection ${collection}`;
      throw new DinoError(
        'conflict',
        `A job ${kind}${where} is ${other.state} already: ${other.id}. Wait for it, or cancel it first.`,
      );
    }
    const waiting = this.#inState('queued').length;
    if (waiting >= this.#maxQueued) {
      throw new DinoError('overloaded', `${waiting} jobs are waiting already. Try again later.`, {
        retryAfterSeconds: 10,
      });
    }
    const job = new TrackedJob(kind, collection, work);
    this.#jobs.set(job.id, job);
    this.#startNext();
    return job.snapshot();
  }

  /** The latest first. */
  list({ kind, collection, state }: JobFilter = {}): Job[] {
    return [...this.#jobs.values()]
      .filter(
        (job) =>
          (kind === undefined || job.kind === kind) &&
          (collection === undefined || job.collection === collection) &&
          (state === undefined || job.state === state),
      )
      .map((job) => job.snapshot())
      .reverse();
  }

  /** @throws DinoError not-found, also for one that finished too long ago */
  get(id: string): Job {
    return this.#find(id).snapshot();
  }

  /**
   * Cancels a job: one that waits at once, one that runs at its next step. One that has finished stays as it is.
   *
   * @throws DinoError not-found
   */
  cancel(id: string): Job {
    const job = this.#find(id);
    job.cancel(new DinoError('conflict', 'The job was cancelled.'));
    if (job.isFinished) this.#forgetOld();
    return job.snapshot();
  }

  /** Resolves with the job once it has finished. @throws DinoError not-found */
  async finished(id: string): Promise<Job> {
    const job = this.#find(id);
    await job.ended;
    return job.snapshot();
  }

  /** Cancels what waits and runs, and waits until nothing does. No job can be started afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    const unfinished = this.#unfinished();
    for (const job of unfinished) job.cancel(new DinoError('not-ready', 'The service is stopping.'));
    await Promise.all(unfinished.map((job) => job.ended));
  }

  #startNext(): void {
    for (const job of this.#inState('queued')) {
      if (this.#inState('running').length >= this.#maxRunning) return;
      void job.run().then((failure) => {
        if (failure !== undefined) this.#onFailure(failure, job.snapshot());
        this.#forgetOld();
        this.#startNext();
      });
    }
  }

  #forgetOld(): void {
    const finished = [...this.#jobs.values()]
      .filter((job) => job.isFinished)
      .sort((a, b) => a.finishOrder - b.finishOrder);
    for (const job of finished.slice(0, Math.max(0, finished.length - this.#keepFinished))) {
      this.#jobs.delete(job.id);
    }
  }

  #find(id: string): TrackedJob {
    const job = this.#jobs.get(id);
    if (job === undefined) {
      const detail = `There is no job ${id}. The latest ${this.#keepFinished} that finished are remembered, for as long as the service runs.`;
      throw new DinoError('not-found', detail);
    }
    return job;
  }

  #inState(state: JobState): TrackedJob[] {
    return [...this.#jobs.values()].filter((job) => job.state === state);
  }

  #unfinished(): TrackedJob[] {
    return [...this.#jobs.values()].filter((job) => !job.isFinished);
  }
}

let finishedSoFar = 0;

class TrackedJob {
  readonly id = randomUUID();
  readonly ended: Promise<void>;
  state: JobState = 'queued';
  /** Grows with every job that finishes: a clock may stand still or go back. */
  finishOrder = 0;
  readonly #controller = new AbortController();
  readonly #createdAt = now();
  #startedAt: string | undefined;
  #finishedAt: string | undefined;
  #done = 0;
  #total: number | undefined;
  #result: JobResult | undefined;
  #error: DinoError | undefined;
  #end!: () => void;

  constructor(
    readonly kind: string,
    readonly collection: string | undefined,
    private readonly work: JobWork,
  ) {
    this.ended = new Promise((resolve) => (this.#end = resolve));
    // A job may have many requests under way that each listen.
    setMaxListeners(0, this.#controller.signal);
  }

  get isFinished(): boolean {
    return this.state !== 'queued' && this.state !== 'running';
  }

  cancel(reason: DinoError): void {
    this.#controller.abort(reason);
    if (this.state === 'queued') this.#finish('cancelled');
  }

  /** Never rejects. @returns the error that nobody foresaw, where there was one */
  async run(): Promise<unknown> {
    this.state = 'running';
    this.#startedAt = now();
    const { signal } = this.#controller;
    const context: JobContext = {
      signal,
      report: (done, total) => {
        this.#done = done;
        if (total !== undefined) this.#total = total;
      },
    };
    try {
      this.#result = (await this.work(context)) ?? undefined;
      this.#finish('succeeded');
      return undefined;
    } catch (error) {
      if (signal.aborted) {
        this.#finish('cancelled');
        return undefined;
      }
      this.#error = asDinoError(error);
      this.#finish('failed');
      return this.#error.code === 'internal' ? error : undefined;
    }
  }

  #finish(state: JobState): void {
    this.state = state;
    this.#finishedAt = now();
    this.finishOrder = ++finishedSoFar;
    this.#end();
  }

  snapshot(): Job {
    return {
      id: this.id,
      kind: this.kind,
      collection: this.collection,
      state: this.state,
      done: this.#done,
      total: this.#total,
      createdAt: this.#createdAt,
      startedAt: this.#startedAt,
      finishedAt: this.#finishedAt,
      result: this.#result,
      error: this.#error,
    };
  }
}

function asDinoError(error: unknown): DinoError {
  if (error instanceof DinoError) return error;
  return new DinoError('internal', 'Something went wrong here. Tell the operator the id of the job.', {
    cause: error,
  });
}

function now(): string {
  return new Date().toISOString();
}
