import {
  Controller,
  Delete,
  Get,
  OperationId,
  Query,
  Response,
  Route,
  SuccessResponse,
  Tags,
} from '@tsoa/runtime';
import type { JobRunner } from '../../jobs/job-runner.js';
import type { JobListResponse, JobResource, JobStateName } from '../dto/job.dto.js';
import type { Problem } from '../dto/problem.dto.js';
import { describeJob } from '../job-answers.js';

@Route('v1/jobs')
@Tags('Jobs')
export class JobsController extends Controller {
  readonly #jobs: JobRunner;

  constructor(jobs: JobRunner) {
    super();
    this.#jobs = jobs;
  }

  /**
   * Jobs that wait, run or have finished since the service started, the latest first.
   * @summary List the jobs
   * @param collection only those of this collection
   * @param kind only those of this kind, e.g. `reembed`
   * @param state only those in this state
   */
  @Get()
  @OperationId('listJobs')
  public async listJobs(
    @Query() collection?: string,
    @Query() kind?: string,
    @Query() state?: JobStateName,
  ): Promise<JobListResponse> {
    return { jobs: this.#jobs.list({ collection, kind, state }).map(describeJob) };
  }

  /** @summary Describe a job */
  @Get('{id}')
  @OperationId('getJob')
  @Response<Problem>(404, 'It is not there, or finished too long ago')
  public async getJob(id: string): Promise<JobResource> {
    return describeJob(this.#jobs.get(id));
  }

  /**
   * Cancels a job and undoes nothing that it says it has done. One that has finished stays as it is; cancelling twice
   * is as good as once.
   * @summary Cancel a job
   */
  @Delete('{id}')
  @OperationId('cancelJob')
  @SuccessResponse(200, 'Its state is final')
  @Response<JobResource>(202, 'It runs until its next step, and is cancelled there')
  @Response<Problem>(404, 'It is not there, or finished too long ago')
  public async cancelJob(id: string): Promise<JobResource> {
    const job = this.#jobs.cancel(id);
    if (job.finishedAt === undefined) this.setStatus(202);
    return describeJob(job);
  }
}
