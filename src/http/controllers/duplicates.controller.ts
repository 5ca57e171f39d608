import { Body, Controller, OperationId, Post, Response, Route, SuccessResponse, Tags } from '@tsoa/runtime';
import type { CollectionStore } from '../../collections/collection-store.js';
import { validateFilter } from '../../collections/validate-filter.js';
import type { JobRunner } from '../../jobs/job-runner.js';
import type { DuplicatesRequest } from '../dto/duplicate.dto.js';
import type { JobResource } from '../dto/job.dto.js';
import type { Problem } from '../dto/problem.dto.js';
import { acceptJob } from '../job-answers.js';

@Route('v1/collections/{collection}/duplicates')
@Tags('Search')
export class DuplicatesController extends Controller {
  readonly #store: CollectionStore;
  readonly #jobs: JobRunner;

  constructor({ store, jobs }: { store: CollectionStore; jobs: JobRunner }) {
    super();
    this.#store = store;
    this.#jobs = jobs;
  }

  /**
   * Starts a job `duplicates` that finds images which are nearly the same. Its result: `images` (how many were
   * compared), `groups` of images connected by pairs, each with `ids` and `pairs` of `a`, `b` and `score`; `pairs`, how
   * many there are in all; and `exact`.
   * @summary Find near-duplicates
   */
  @Post()
  @OperationId('findDuplicates')
  @SuccessResponse(202, 'Started')
  @Response<Problem>(404, 'The collection is not there')
  public async findDuplicates(collection: string, @Body() body?: DuplicatesRequest): Promise<JobResource> {
    const { threshold = 0.95, filter, exact, maxPairs = 1000 } = body ?? {};
    const query = { threshold, exact, maxPairs, filter: filter && validateFilter(filter) };
    await this.#store.getCollection(collection);
    const job = this.#jobs.start('duplicates', { collection }, async (job) => {
      const onProgress = (done: number, total: number) => job.report(done, total);
      return { ...(await this.#store.findDuplicates(collection, query, { signal: job.signal, onProgress })) };
    });
    return acceptJob(this, job);
  }
}
