import type { Timings } from './timings.js';

/** `bulk` waits while there is something `interactive`, but never for ever: see `Turns`. */
export const PRIORITIES = ['interactive', 'bulk'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** Who waits for an answer: a request, or a job. */
export interface Caller {
  /** Aborted once it has gone: what has not begun by then is never begun. */
  readonly signal: AbortSignal;
  readonly priority: Priority;
  /** Where its time went. */
  readonly timings?: Timings;
}
