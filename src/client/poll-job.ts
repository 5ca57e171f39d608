import type { Job } from './resources.js';
import { wait } from './retry-delay.js';

const FIRST_WAIT_MS = 50;
const MAX_WAIT_MS = 1000;

export interface PollOptions {
  readonly onProgress: (job: Job) => void;
  /** Ends the waiting, not the job. */
  readonly signal: AbortSignal | undefined;
}

/** Asks for a job, ever more slowly up to once a second, until its state is final. */
export async function pollJob(get: () => Promise<Job>, { onProgress, signal }: PollOptions): Promise<Job> {
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, MAX_WAIT_MS)) {
    const job = await get();
    onProgress(job);
    if (job.finishedAt !== null) return job;
    await wait(waitMs, signal);
  }
}
