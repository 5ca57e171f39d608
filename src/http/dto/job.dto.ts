import type { Problem } from './problem.dto.js';

/** `succeeded`, `failed` and `cancelled` are final. */
export type JobStateName = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';

/** Work that goes on after the request that started it. */
export interface JobResource {
  id: string;
  /** What it does, e.g. `reembed`. */
  kind: string;
  /** The collection it works on; null where it is about none. */
  collection: string | null;
  state: JobStateName;
  /**
   * Steps done; most kinds count images.
   * @isInt
   * @minimum 0
   */
  done: number;
  /** Steps in all; null until that is known. */
  total: number | null;
  /** ISO 8601, UTC. */
  createdAt: string;
  /** Null while it waits for its turn. */
  startedAt: string | null;
  /** Null until its state is final. */
  finishedAt: string | null;
  /** What it found or did, once it has succeeded; its form is the kind's. */
  result: { [key: string]: unknown } | null;
  /** What went wrong, once it has failed. */
  error: Problem | null;
}

export interface JobListResponse {
  /** The latest first: all that wait or run, and the latest 100 that finished. */
  jobs: JobResource[];
}
