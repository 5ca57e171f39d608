import { Option, type Command } from 'commander';
import type { Job, JobState } from '../../client/resources.js';
import { JOB_STATES } from '../../jobs/job.js';
import { addConnectionOptions, withServer, type ConnectionOptions } from '../connection.js';
import { textTable } from '../text-table.js';
import { followJob } from './follow-job.js';

interface JobFlags extends ConnectionOptions {
  readonly json: boolean;
}

interface ListFlags extends JobFlags {
  readonly collection?: string;
  readonly kind?: string;
  readonly state?: JobState;
}

/** `dino jobs`: the work that goes on in a running server. */
export function addJobsCommand(program: Command): void {
  const jobs = program
    .command('jobs')
    .description('List, show, cancel and wait for the jobs of a running server')
    .addHelpText('after', EXAMPLES);

  const list = jobs
    .command('list')
    .description('List the jobs that wait, run or have finished lately, the latest first')
    .option('--collection <name>', 'only those of this collection')
    .option('--kind <kind>', 'only those of this kind, e.g. reembed')
    .addOption(new Option('--state <state>', 'only those in this state').choices(JOB_STATES));
  finish(list, '$ dino jobs list --state running').action(async (flags: ListFlags) => {
    const { collection, kind, state } = flags;
    const found = await withServer({ ...flags, runningOnly: true }, (client) =>
      client.listJobs({ collection, kind, state }),
    );
    process.stdout.write(flags.json ? `${JSON.stringify(found)}\n` : tableOf(found));
  });

  const show = jobs.command('show').description('Show one job').argument('<id>', 'id of the job');
  finish(show, '$ dino jobs show 0f8c… --json').action(async (id: string, flags: JobFlags) => {
    print(await withServer({ ...flags, runningOnly: true }, (client) => client.getJob(id)), flags);
  });

  const cancel = jobs
    .command('cancel')
    .description('Cancel a job; one that has finished stays as it is')
    .argument('<id>', 'id of the job');
  finish(cancel, '$ dino jobs cancel 0f8c…').action(async (id: string, flags: JobFlags) => {
    const ended = await withServer({ ...flags, runningOnly: true }, async (client) => {
      await client.cancelJob(id);
      return client.waitForJob(id);
    });
    print(ended, flags);
  });

  const wait = jobs
    .command('wait')
    .description('Wait for a job with a progress bar; an interrupt ends the waiting, not the job')
    .argument('<id>', 'id of the job');
  finish(wait, '$ dino jobs wait 0f8c…').action(async (id: string, flags: JobFlags) => {
    const ended = await withServer({ ...flags, runningOnly: true }, async (client) =>
      followJob(client, await client.getJob(id)),
    );
    print(ended, flags);
  });
}

const EXAMPLES = `
Jobs live as long as the server does.

Examples:
  $ dino jobs list
  $ dino jobs list --collection holiday --state running
`;

function finish(command: Command, example: string): Command {
  return addConnectionOptions(command)
    .option('--json', 'print JSON', false)
    .addHelpText('after', `\nExample:\n  ${example}\n`);
}

function print(job: Job, { json }: JobFlags): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(job)}\n`);
    return;
  }
  process.stdout.write(tableOf([job]));
  if (job.result !== null) process.stdout.write(`result: ${JSON.stringify(job.result)}\n`);
  if (job.error !== null) process.stdout.write(`error: ${job.error.detail}\n`);
}

function tableOf(jobs: readonly Job[]): string {
  const rows = jobs.map((job) => [
    job.id,
    job.kind,
    job.collection ?? '-',
    job.state,
    job.total === null ? job.done : `${job.done}/${job.total}`,
    job.createdAt,
  ]);
  return textTable(['job', 'kind', 'collection', 'state', 'done', 'created'], rows);
}
