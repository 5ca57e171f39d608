import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DinoError } from '#dino/errors.js';
import { TestService } from '../support/test-service.js';

let service: TestService;
beforeAll(async () => {
  service = await TestService.start();
});
afterAll(() => service.close());

/** Runs until it is cancelled. */
const endless = (signal: AbortSignal) =>
  new Promise<void>((_resolve, reject) => {
    signal.addEventListener('abort', () => setImmediate(() => reject(signal.reason as Error)));
  });

describe('/v1/jobs', () => {
  it('lists, describes and cancels what runs, again and again', async () => {
    const { id } = service.jobs.start('endless', { collection: 'c' }, (job) => {
      job.report(2, 5);
      return endless(job.signal);
    });
    const running = await service.call('GET', `/v1/jobs/${id}`);
    expect(running.body).toMatchObject({
      id,
      kind: 'endless',
      collection: 'c',
      state: 'running',
      done: 2,
      total: 5,
    });
    expect([running.body.finishedAt, running.body.result, running.body.error]).toEqual([null, null, null]);
    const cancelled = await service.call('DELETE', `/v1/jobs/${id}`);
    expect([cancelled.status, cancelled.body.state]).toEqual([202, 'running']);
    await service.jobs.finished(id);
    const again = await service.call('DELETE', `/v1/jobs/${id}`);
    expect([again.status, again.body.state]).toEqual([200, 'cancelled']);
    const { body } = await service.call('GET', '/v1/jobs', {
      query: { collection: 'c', kind: 'endless', state: 'cancelled' },
    });
    expect(body.jobs).toEqual([again.body]);
    expect((await service.call('GET', '/v1/jobs', { query: { kind: 'other' } })).body.jobs).toEqual([]);
  });

  it('tells the result, or the problem', async () => {
    const good = service.jobs.start('good', {}, async () => ({ pairs: [1, 2] }));
    const bad = service.jobs.start('bad', {}, () =>
      Promise.reject(new DinoError('not-found', 'It has gone.')),
    );
    await service.jobs.finished(bad.id);
    expect((await service.call('GET', `/v1/jobs/${good.id}`)).body).toMatchObject({
      state: 'succeeded',
      result: { pairs: [1, 2] },
    });
    expect((await service.call('GET', `/v1/jobs/${bad.id}`)).body).toMatchObject({
      state: 'failed',
      result: null,
      error: {
        type: 'urn:dino:problem:not-found',
        detail: 'It has gone.',
        instance: `urn:dino:job:${bad.id}`,
      },
    });
  });

  it('knows no job of another id, no other state and no other field', async () => {
    const path = `/v1/jobs/${randomUUID()}`;
    for (const method of ['GET', 'DELETE'] as const) {
      const { status, body } = await service.call(method, path);
      expect([status, body.detail]).toEqual([404, expect.stringMatching(/There is no job/)]);
    }
    expect((await service.call('GET', '/v1/jobs', { query: { state: 'lost' } })).status).toBe(400);
  });

  it('shows what waits and runs in the metrics, and all end when the service stops', async () => {
    const ids = [1, 2, 3].map(() => service.jobs.start('endless', {}, ({ signal }) => endless(signal)).id);
    const { text } = await service.call('GET', '/metrics');
    expect(text).toMatch(/^dino_jobs\{state="queued"\} 1$/m);
    expect(text).toMatch(/^dino_jobs\{state="running"\} 2$/m);
    const { jobs } = service;
    await service.restart();
    expect(ids.map((id) => jobs.get(id).state)).toEqual(['cancelled', 'cancelled', 'cancelled']);
    expect((await service.call('GET', '/v1/jobs')).body.jobs).toEqual([]);
  });
});
