import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import supertest from 'supertest';
import { drawScene } from '../support/drawn-scenes.js';
import { TestService } from '../support/test-service.js';

let service: TestService;
beforeAll(async () => {
  service = await TestService.start();
});
afterAll(() => service.close());

describe('what operators ask', () => {
  it('is alive, ready and described', async () => {
    expect((await service.call('GET', '/healthz')).body).toEqual({ status: 'alive' });
    expect((await service.call('GET', '/readyz')).body).toEqual({ status: 'ready' });
    expect((await service.call('GET', '/openapi.json')).body.openapi).toMatch(/^3\./);
  });

  it('is measured: requests by route, batches, and the delay of the event loop', async () => {
    const { bytes } = await drawScene({ className: 'disc-on-stripes' });
    await service.call('POST', '/v1/embeddings', { raw: bytes });
    const { text } = await service.call('GET', '/metrics');
    expect(text).toMatch(
      /^dino_http_request_duration_seconds_count\{method="POST",route="\/v1\/embeddings",status="200"\} [1-9]/m,
    );
    expect(text).toMatch(/^dino_inference_batch_size_count [1-9]/m);
    expect(text).toMatch(/^dino_queue_length 0$/m);
    expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds [0-9.e-]+$/m);
  });

  it('has a page, and Swagger UI that reads our specification', async () => {
    const page = await supertest(service.app).get('/');
    expect(page.status).toBe(200);
    expect(page.headers['content-type']).toMatch(/html/);
    const docs = await supertest(service.app).get('/docs/');
    expect(docs.text).toContain('swagger-ui');
    const script = await supertest(service.app).get('/docs/swagger-initializer.js');
    expect(script.text).toContain('/openapi.json');
    expect((await supertest(service.app).get('/docs')).headers.location).toBe('/docs/');
  });

  it('answers an unknown path with a problem, and every request with an id', async () => {
    const { status, body, headers } = await supertest(service.app)
      .get('/v2/nothing')
      .set('X-Request-Id', 'mine-1');
    expect(status).toBe(404);
    expect(headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(body).toMatchObject({ type: 'urn:dino:problem:not-found', instance: 'urn:dino:request:mine-1' });
    const harmful = await supertest(service.app).get('/healthz').set('X-Request-Id', '<script>');
    expect(harmful.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('lists its models with their manifests', async () => {
    const { data } = (await service.call('GET', '/v1/models')).body;
    expect(data.filter((model: { default: boolean }) => model.default)).toHaveLength(1);
    const one = await service.call('GET', `/v1/models/${data[0].id}`);
    expect(one.body).toEqual(data[0]);
    expect(one.body.manifest.file.sha256).toBe(one.body.fingerprint);
    expect((await service.call('GET', '/v1/models/nobody')).status).toBe(404);
  });
});

describe('with keys configured', () => {
  let locked: TestService;
  beforeAll(async () => {
    locked = await TestService.start({ apiKeys: 'first,second' });
  });
  afterAll(() => locked.close());

  it('lets in whoever has one, in either header, and nobody else', async () => {
    const good: Record<string, string>[] = [
      { Authorization: 'Bearer first' },
      { Authorization: 'bearer second' },
      { 'X-Api-Key': 'second' },
    ];
    for (const headers of good) {
      expect((await locked.call('GET', '/v1/models', { headers })).status).toBe(200);
    }
    const bad: Record<string, string>[] = [
      {},
      { Authorization: 'Bearer third' },
      { Authorization: 'first' },
      { 'X-Api-Key': 'first,second' },
    ];
    for (const headers of bad) {
      const { status, body, headers: answer } = await locked.call('GET', '/v1/collections', { headers });
      expect(status).toBe(401);
      expect(body.type).toBe('urn:dino:problem:unauthorized');
      expect(answer['www-authenticate']).toBe('Bearer');
    }
    expect((await locked.call('GET', '/healthz')).status).toBe(200);
  });
});

describe('overload', () => {
  it('answers what is too much with 429 and Retry-After, and the rest as ever', async () => {
    const narrow = await TestService.start({ maxRequests: 2 });
    try {
      const { bytes } = await drawScene({ className: 'disc-on-stripes' });
      const answers = await Promise.all(
        Array.from({ length: 12 }, () => narrow.call('POST', '/v1/embeddings', { raw: bytes })),
      );
      const statuses = new Set(answers.map(({ status }) => status));
      expect(statuses).toEqual(new Set([200, 429]));
      for (const { status, headers, body } of answers) {
        if (status === 429) {
          expect(Number(headers['retry-after'])).toBeGreaterThan(0);
          expect(body.type).toBe('urn:dino:problem:overloaded');
        }
      }
      expect((await narrow.call('POST', '/v1/embeddings', { raw: bytes })).status).toBe(200);
    } finally {
      await narrow.close();
    }
  });

  it('refuses images that the queue has no place for', async () => {
    const narrow = await TestService.start({ queueLimit: 4, maxBatch: 2, maxImagesPerRequest: 4 });
    try {
      const { bytes } = await drawScene({ className: 'disc-on-stripes' });
      const input = Array.from({ length: 4 }, () => bytes.toString('base64'));
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => narrow.call('POST', '/v1/embeddings', { json: { input } })),
      );
      // A batch has places for all of its images or for none, so whoever comes first is served.
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 429]));
      expect((await narrow.call('POST', '/v1/embeddings', { json: { input: input[0] } })).status).toBe(200);
    } finally {
      await narrow.close();
    }
  });
});
