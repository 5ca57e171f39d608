import { once } from 'node:events';
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { priorityOf } from '#dino/http/middleware/priority.js';
import { createClient } from '#dino/client/dino-client.js';
import { drawScenes, type DrawnScene } from '../support/drawn-scenes.js';
import { TestService } from '../support/test-service.js';

const C = '/v1/collections/scenes';

let scenes: DrawnScene[];
beforeAll(async () => {
  scenes = await drawScenes({ perClass: 1, width: 96, height: 96 });
});

/** A header of the form `name;dur=1.23, …` as a table. @throws where it has another form */
function durations(header: string | undefined): Record<string, number> {
  if (header === undefined) throw new Error('there is no Server-Timing');
  return Object.fromEntries(
    header.split(', ').map((metric) => {
      const [, name, ms] = /^([a-z]+);dur=(\d+\.\d+)$/.exec(metric)!;
      return [name!, Number(ms)];
    }),
  );
}

describe('Server-Timing', () => {
  let service: TestService;
  const text = (i: number) => scenes[i]!.bytes.toString('base64');
  beforeAll(async () => {
    service = await TestService.start({ embeddingCache: 'off' });
    await service.call('PUT', C, { json: {} });
    await service.call('PUT', `${C}/images/first`, { raw: scenes[0]!.bytes });
  });
  afterAll(() => service.close());

  it.each([
    ['POST', '/v1/embeddings', () => ({ raw: scenes[0]!.bytes })],
    ['POST', '/v1/embeddings', () => ({ json: { input: [text(0), text(1)], tokens: true } })],
    ['POST', '/v1/attention', () => ({ raw: scenes[0]!.bytes })],
    ['POST', '/v1/attention', () => ({ raw: scenes[0]!.bytes, accept: 'image/png' })],
    ['POST', '/v1/masks', () => ({ raw: scenes[0]!.bytes })],
    ['POST', '/v1/correspondences', () => ({ json: { images: [text(0), text(1)] } })],
    ['POST', '/v1/cosegmentation', () => ({ json: { images: [text(0), text(1)] } })],
    ['PUT', `${C}/images/second`, () => ({ raw: scenes[1]!.bytes })],
    ['POST', `${C}/images`, () => ({ json: { images: [{ id: 'third', image: text(2) }] } })],
    ['POST', `${C}/search`, () => ({ raw: scenes[1]!.bytes })],
    ['POST', `${C}/search/batch`, () => ({ json: { queries: [{ image: text(1) }] } })],
    ['POST', `${C}/classify`, () => ({ raw: scenes[1]!.bytes, query: { field: 'class' } })],
    ['POST', `${C}/images/first/explain`, () => ({ raw: scenes[1]!.bytes })],
  ] as const)('tells of %s %s where the time went', async (method, path, body) => {
    const { status, headers } = await service.call(method, path, body());
    expect(status).toBeLessThan(300);
    const times = durations(headers['server-timing']);
    expect(Object.keys(times)).toEqual(['queue', 'decode', 'inference', 'total']);
    expect(times.decode).toBeGreaterThan(0);
    expect(times.inference).toBeGreaterThan(0);
    // Rounded to hundredths.
    for (const ms of Object.values(times)) expect(ms).toBeLessThanOrEqual(times.total! + 0.01);
  });

  it('is not sent where the model had nothing to do', async () => {
    for (const path of ['/v1/models', `${C}/images/first`, '/healthz'])
      expect((await service.call('GET', path)).headers['server-timing']).toBeUndefined();
    const byId = await service.call('POST', `${C}/search`, { json: { id: 'first' } });
    expect(byId.headers['server-timing']).toBeUndefined();
  });

  it('has its counterparts in the metrics', async () => {
    const { text: metrics } = await service.call('GET', '/metrics');
    for (const name of ['decode', 'decode_queue', 'queue', 'inference'])
      expect(metrics).toMatch(new RegExp(`^dino_${name}_duration_seconds_count [1-9]`, 'm'));
    expect(metrics).toMatch(/^dino_decode_queue_length 0$/m);
  });
});

describe('Priority', () => {
  it.each([
    [undefined, 'interactive'],
    ['u=0', 'interactive'],
    ['u=1, i', 'interactive'],
    ['u=3', 'interactive'],
    ['u=4', 'bulk'],
    ['i, u=7', 'bulk'],
    ['u=7;later=?1', 'bulk'],
    ['u=7, u=2', 'interactive'],
    // RFC 9218, section 4: what can't be read, or is out of range, is ignored.
    ['u=8', 'interactive'],
    ['u=bulk', 'interactive'],
    ['low', 'interactive'],
    ['', 'interactive'],
  ])('of %j is %s', (header, priority) => {
    expect(priorityOf(header)).toBe(priority);
  });
});

describe('under load', () => {
  let service: TestService;
  let server: Server;
  let url: string;
  let large: Buffer;
  beforeAll(async () => {
    // One after the other, so that there is always somebody who waits.
    service = await TestService.start({
      decodeThreads: 1,
      maxBatch: 1,
      preprocessing: 'exact',
      embeddingCache: 'off',
    });
    server = createServer(service.app).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    [{ bytes: large }] = (await drawScenes({ perClass: 1, width: 2000, height: 1500 })) as [DrawnScene];
  });
  afterAll(async () => {
    server.close();
    await service.close();
  });

  async function metric(name: string): Promise<number> {
    const { text } = await service.call('GET', '/metrics');
    return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)![1]);
  }

  async function waitUntil(isSo: () => Promise<boolean>): Promise<void> {
    while (!(await isSo())) await new Promise(setImmediate);
  }

  it('neither decodes nor embeds the images of a client that has hung up', async () => {
    const client = createClient({ url });
    const staying = client.embed(Array.from({ length: 40 }, () => large));
    await waitUntil(async () => (await metric('dino_decode_queue_length')) > 20);

    const input = Array.from({ length: 30 }, () => large.toString('base64'));
    const leaving = httpRequest(`${url}/v1/embeddings`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    });
    const hungUp = new Promise((resolve) => leaving.on('close', resolve));
    leaving.on('error', () => undefined).end(JSON.stringify({ input }));
    const before = await metric('dino_decode_queue_length');
    await waitUntil(async () => (await metric('dino_decode_queue_length')) > before);
    leaving.destroy();
    await hungUp;

    expect((await staying).vectors).toHaveLength(40);
    await waitUntil(async () => (await metric('dino_http_requests_in_progress')) === 0);
    expect(await metric('dino_decode_queue_length')).toBe(0);
    expect(await metric('dino_decode_duration_seconds_count')).toBe(40);
    expect(await metric('dino_inference_batch_size_sum')).toBe(40);
  });

  it('answers an interactive request before the bulk of what came first', async () => {
    let isImported = false;
    const importing = createClient({ url, priority: 'bulk' })
      .embed(Array.from({ length: 40 }, () => large))
      .then(() => (isImported = true));
    await waitUntil(async () => (await metric('dino_decode_queue_length')) > 30);
    await createClient({ url }).embed([large]);
    expect(isImported).toBe(false);
    await importing;
  });
});
