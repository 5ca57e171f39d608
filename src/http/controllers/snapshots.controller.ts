import {
  Controller,
  Delete,
  Get,
  OperationId,
  Post,
  Request,
  Response,
  Route,
  SuccessResponse,
  Tags,
} from '@tsoa/runtime';
import type { Request as HttpRequest } from 'express';
import type { Readable } from 'node:stream';
import type { Snapshot, SnapshotService } from '../../collections/snapshot.service.js';
import type { JobResource } from '../dto/job.dto.js';
import type { Problem } from '../dto/problem.dto.js';
import type { SnapshotListResponse, SnapshotResource, SnapshotVerification } from '../dto/snapshot.dto.js';
import { isNotModified, NO_BODY } from '../conditional.js';
import { acceptJob } from '../job-answers.js';

@Route('v1/snapshots')
@Tags('Snapshots')
export class SnapshotsController extends Controller {
  readonly #snapshots: SnapshotService;

  constructor(snapshots: SnapshotService) {
    super();
    this.#snapshots = snapshots;
  }

  /**
   * Starts a job that copies all collections as they are at one moment, while reads and writes go on, and checks every
   * byte of the copy. Its result is `{"snapshot": id}`; it fails where the database is damaged or the disk is full.
   * @summary Make a snapshot
   */
  @Post()
  @OperationId('createSnapshot')
  @SuccessResponse(202, 'The job that makes it')
  @Response<Problem>(409, 'One is being made already')
  public async createSnapshot(): Promise<JobResource> {
    return acceptJob(this, this.#snapshots.create());
  }

  /** @summary List the snapshots */
  @Get()
  @OperationId('listSnapshots')
  public async listSnapshots(): Promise<SnapshotListResponse> {
    return { snapshots: (await this.#snapshots.list()).map(describe) };
  }

  /** @summary Describe a snapshot */
  @Get('{id}')
  @OperationId('getSnapshot')
  @Response<Problem>(404, 'It is not there')
  public async getSnapshot(id: string): Promise<SnapshotResource> {
    return describe(await this.#snapshots.get(id));
  }

  /**
   * A tar file: the database, the graphs, and a manifest with the SHA-256 of each. `Repr-Digest` (RFC 9530) has the
   * SHA-256 of the whole; `dino snapshots restore` puts it into a data folder.
   * @summary Download a snapshot
   */
  @Get('{id}/content')
  @OperationId('getSnapshotContent')
  @SuccessResponse(200, 'A tar file', 'application/x-tar')
  @Response<Problem>(404, 'It is not there')
  public async getSnapshotContent(id: string, @Request() request: HttpRequest): Promise<Readable> {
    const { sha256 } = await this.#snapshots.get(id);
    if (isNotModified(this, request, sha256)) return NO_BODY;
    const { snapshot, bytes } = await this.#snapshots.read(id);
    this.setHeader('Content-Type', 'application/x-tar');
    this.setHeader('Content-Length', String(snapshot.bytes));
    this.setHeader('Content-Disposition', `attachment; filename="${id}.tar"`);
    this.setHeader('Repr-Digest', `sha-256=:${Buffer.from(snapshot.sha256, 'hex').toString('base64')}:`);
    return bytes;
  }

  /**
   * Reads a snapshot from end to end and compares it with its checksums.
   * @summary Verify a snapshot
   */
  @Post('{id}/verify')
  @OperationId('verifySnapshot')
  @Response<Problem>(404, 'It is not there')
  public async verifySnapshot(id: string): Promise<SnapshotVerification> {
    const problem = await this.#snapshots.verify(id);
    return { id, whole: problem === undefined, problem: problem ?? null };
  }

  /** @summary Delete a snapshot */
  @Delete('{id}')
  @OperationId('deleteSnapshot')
  @SuccessResponse(204, 'Deleted')
  @Response<Problem>(404, 'It is not there')
  public async deleteSnapshot(id: string): Promise<void> {
    await this.#snapshots.delete(id);
  }
}

function describe({ id, createdAt, bytes, sha256, collections }: Snapshot): SnapshotResource {
  return { id, createdAt, bytes, sha256, collections: [...collections] };
}
