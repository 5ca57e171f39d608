import type { Controller } from '@tsoa/runtime';
import type { Job } from '../jobs/job.js';
import type { JobResource } from './dto/job.dto.js';
import { toProblem } from './middleware/error-handler.js';

/** Answers a request that started a job: 202, the job, and where to ask for it. */
export function acceptJob(controller: Controller, job: Job): JobResource {
  controller.setStatus(202);
  controller.setHeader('Location', `/v1/jobs/${job.id}`);
  return describeJob(job);
}

export function describeJob(job: Job): JobResource {
  const { collection, total, startedAt, finishedAt, result, error, ...rest } = job;
  return {
    ...rest,
    collection: collection ?? null,
    total: total ?? null,
    startedAt: startedAt ?? null,
    finishedAt: finishedAt ?? null,
    result: result ?? null,
    error: error === undefined ? null : { ...toProblem(error, ''), instance: `urn:dino:job:${job.id}` },
  };
}
