import type { DinoClient } from '../../client/dino-client.js';
import type { Job } from '../../client/resources.js';
import { CommandError } from '../command-error.js';
import { createProgress, type Progress } from '../progress.js';

/**
 * Waits for a job and shows how far it is on standard error.
 *
 * @returns the job once it has succeeded
 * @throws CommandError when it failed or was cancelled
 */
export async function followJob(client: DinoClient, { id, kind, collection }: Job): Promise<Job> {
  const title = collection === null ? kind : `${kind} ${collection}`;
  let progress: Progress | undefined;
  let shown = 0;
  const onProgress = ({ done, total }: Job) => {
    if (total === null) return;
    progress ??= createProgress({ title, total });
    progress.advance(done - shown, done - shown);
    shown = done;
  };
  try {
    return requireSuccess(await client.waitForJob(id, onProgress));
  } finally {
    progress?.stop();
  }
}

function requireSuccess(job: Job): Job {
  if (job.state === 'succeeded') return job;
  const why = job.error === null ? '' : `: ${job.error.detail}`;
  throw new CommandError(
    `the job ${job.kind} ${job.id} ${job.state === 'failed' ? 'failed' : 'was cancelled'}${why}`,
  );
}
