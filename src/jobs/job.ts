import type { DinoError } from '../errors.js';

/** Where a job is in its life. The last three are final. */
export const JOB_STATES = ['queued', 'running', 'succeeded', 'failed', 'cancelled'] as const;
export type JobState = (typeof JOB_STATES)[number];

/** What a job has found out or done, as JSON. */
export type JobResult = Record<string, unknown>;

/** A job as it is at one moment. */
export interface Job {
  readonly id: string;
  /** What it does, e.g. `reembed`. */
  readonly kind: string;
  /** The collection it works on; undefined where it is about none. */
  readonly collection: string | undefined;
  readonly state: JobState;
  /** Steps done; most jobs count images. */
  readonly done: number;
  /** Steps in all; undefined until that is known. */
  readonly total: number | undefined;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly startedAt: string | undefined;
  readonly finishedAt: string | undefined;
  /** There once it has succeeded, where it has anything to say. */
  readonly result: JobResult | undefined;
  /** There once it has failed. */
  readonly error: DinoError | undefined;
}

/** What the work of a job is given. */
export interface JobContext {
  /** Aborted when the job is cancelled or the service stops: let it throw between two steps. */
  readonly signal: AbortSignal;
  /**
   * Says how far it is.
   *
   * @param done steps done
   * @param total steps in all, once that is known
   */
  report(done: number, total?: number): void;
}

/** Does what the job is for. What it throws after its signal was aborted makes it cancelled, else failed. */
export type JobWork = (job: JobContext) => Promise<JobResult | void>;
