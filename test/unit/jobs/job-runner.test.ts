import { describe, expect, it } from 'vitest';
import { DinoError } from '#dino/errors.js';
import type { Job, JobContext } from '#dino/jobs/job.js';
import { JobRunner } from '#dino/jobs/job-runner.js';

/** Work that goes on until the test lets it end, or its signal is aborted. */
function stoppable() {
  let end!: (result?: Record<string, unknown>) => void;
  let fail!: (error: Error) => void;
  let context: JobContext | undefined;
  const ended = new Promise<Record<string, unknown> | undefined>((resolve, reject) => {
    end = resolve;
    fail = reject;
  });
  const work = (given: JobContext) => {
    context = given;
    given.signal.addEventListener('abort', () => fail(given.signal.reason as Error));
    return ended.then((result) => result as Record<string, unknown>);
  };
  return { work, end, fail, context: () => context! };
}

const about = { collection: 'c' };

describe('a job', () => {
  it('goes from queued to succeeded, tells how far it is, and keeps its result', async () => {
    const runner = new JobRunner();
    const task = stoppable();
    const { id, state } = runner.start('copy', about, task.work);
    expect(state).toBe('running');
    task.context().report(1, 4);
    task.context().report(3);
    expect(runner.get(id)).toMatchObject({ kind: 'copy', collection: 'c', done: 3, total: 4 });
    expect(runner.get(id).finishedAt).toBeUndefined();
    task.end({ copied: 3 });
    const job = await runner.finished(id);
    expect(job).toMatchObject({ state: 'succeeded', result: { copied: 3 }, error: undefined });
    expect(Date.parse(job.finishedAt!)).not.toBeNaN();
  });

  it('that fails keeps a problem of the closed set, and what nobody foresaw reaches the operator', async () => {
    const failures: [unknown, string][] = [];
    const runner = new JobRunner({ onFailure: (error, { kind }) => failures.push([error, kind]) });
    const refusal = new DinoError('conflict', 'It lacks its original.');
    const bug = new TypeError('x is not a function');
    const expected = runner.start('one', {}, () => Promise.reject(refusal));
    const unexpected = runner.start('two', {}, () => {
      throw bug;
    });
    expect(await runner.finished(expected.id)).toMatchObject({ state: 'failed', error: refusal });
    const { state, error } = await runner.finished(unexpected.id);
    expect([state, error!.code, error!.cause]).toEqual(['failed', 'internal', bug]);
    expect(failures).toEqual([[bug, 'two']]);
  });

  it('that runs is cancelled at its next step; cancelling again or later changes nothing', async () => {
    const runner = new JobRunner();
    const task = stoppable();
    const { id } = runner.start('copy', about, async (context) => {
      await task.work(context).catch(() => undefined);
      context.signal.throwIfAborted();
    });
    expect(runner.cancel(id).state).toBe('running');
    runner.cancel(id);
    expect((await runner.finished(id)).state).toBe('cancelled');
    expect(runner.cancel(id)).toEqual(runner.get(id));
    const done = runner.start('nothing', {}, async () => undefined);
    await runner.finished(done.id);
    expect(runner.cancel(done.id).state).toBe('succeeded');
  });

  it('that was done before it looked at its signal has succeeded', async () => {
    const runner = new JobRunner();
    const task = stoppable();
    const { id } = runner.start(
      'copy',
      about,
      () => new Promise((resolve) => setImmediate(() => resolve({}))),
    );
    runner.cancel(id);
    expect((await runner.finished(id)).state).toBe('succeeded');
    task.end();
  });
});

describe('jobs', () => {
  it('run a few at once, the others in order; one that waits is cancelled without having run', async () => {
    const runner = new JobRunner({ maxRunning: 1 });
    const tasks = [stoppable(), stoppable(), stoppable()];
    const jobs = tasks.map(({ work }, i) => runner.start(`k${i}`, {}, work));
    expect(jobs.map(({ state }) => state)).toEqual(['running', 'queued', 'queued']);
    expect(runner.cancel(jobs[1]!.id)).toMatchObject({ state: 'cancelled', startedAt: undefined });
    tasks[0]!.end();
    await runner.finished(jobs[0]!.id);
    tasks[2]!.end();
    expect((await runner.finished(jobs[2]!.id)).state).toBe('succeeded');
    expect(tasks[1]!.context()).toBeUndefined();
  });

  it('are refused beyond the queue, and beside one that must be alone', async () => {
    const runner = new JobRunner({ maxRunning: 1, maxQueued: 1 });
    const task = stoppable();
    const first = runner.start('reembed', { ...about, alone: true }, task.work);
    const again = () => runner.start('reembed', { ...about, alone: true }, task.work);
    expect(again).toThrow(
      expect.objectContaining({ code: 'conflict', message: expect.stringContaining(first.id) }),
    );
    runner.start('reembed', { collection: 'other', alone: true }, task.work);
    expect(() => runner.start('copy', {}, task.work)).toThrow(
      expect.objectContaining({ code: 'overloaded', retryAfterSeconds: 10 }),
    );
    task.end();
    await runner.finished(first.id);
    const next = runner.start('reembed', { ...about, alone: true }, async () => undefined);
    expect((await runner.finished(next.id)).state).toBe('succeeded');
  });

  it('are listed latest first by collection, kind and state, and the oldest that finished are forgotten', async () => {
    const runner = new JobRunner({ keepFinished: 2 });
    const slow = stoppable();
    const running = runner.start('slow', about, slow.work);
    const quick: Job[] = [];
    for (let i = 0; i < 3; i++) {
      quick.push(runner.start('quick', { collection: `c${i}` }, async () => undefined));
      await runner.finished(quick[i]!.id);
    }
    await new Promise(setImmediate);
    const ids = (filter = {}) => runner.list(filter).map(({ id }) => id);
    expect(ids()).toEqual([quick[2]!.id, quick[1]!.id, running.id]);
    expect(ids({ kind: 'quick', collection: 'c1' })).toEqual([quick[1]!.id]);
    expect(ids({ state: 'running' })).toEqual([running.id]);
    expect(() => runner.get(quick[0]!.id)).toThrow(expect.objectContaining({ code: 'not-found' }));
    slow.end();
    await runner.finished(running.id);
  });

  it('are cancelled and waited for when the service stops, and none starts afterwards', async () => {
    const runner = new JobRunner({ maxRunning: 1 });
    const tasks = [stoppable(), stoppable()];
    const jobs = tasks.map(({ work }) => runner.start('copy', {}, work));
    await runner.close();
    expect(jobs.map(({ id }) => runner.get(id).state)).toEqual(['cancelled', 'cancelled']);
    expect(() => runner.start('copy', {}, tasks[0]!.work)).toThrow(
      expect.objectContaining({ code: 'not-ready' }),
    );
  });
});
