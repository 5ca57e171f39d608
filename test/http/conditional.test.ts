import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import supertest from 'supertest';
import { drawScene, type DrawnScene } from '../support/drawn-scenes.js';
import { TestService } from '../support/test-service.js';

let service: TestService;
let scenes: DrawnScene[];
beforeAll(async () => {
  service = await TestService.start({ apiKeys: 'key' });
  scenes = [
    await drawScene({ className: 'disc-on-stripes' }),
    await drawScene({ className: 'ring-on-noise', format: 'png' }),
  ];
  await service.call('PUT', '/v1/collections/c', { json: {}, headers: KEY });
  await put('a', scenes[0]!);
});
afterAll(() => service.close());

const KEY = { 'X-Api-Key': 'key' };

function put(id: string, scene: DrawnScene) {
  const sent = { raw: scene.bytes, type: scene.mediaType, headers: KEY };
  return service.call('PUT', `/v1/collections/c/images/${id}`, sent);
}

function get(path: string, etag?: string) {
  const condition: Record<string, string> = etag === undefined ? {} : { 'If-None-Match': etag };
  return service.call('GET', path, { headers: { ...KEY, ...condition } });
}

describe('a picture of a stored image', () => {
  it.each(['content', 'thumbnail'])(
    '%s has a strong ETag, and is not sent again to whoever has it',
    async (part) => {
      const path = `/v1/collections/c/images/a/${part}`;
      const first = await get(path);
      const { etag } = first.headers;
      expect(first.status).toBe(200);
      expect(etag).toMatch(/^"[0-9a-f]{64}(-thumbnail)?"$/);
      for (const condition of [etag!, `"other", W/${etag}`, '*']) {
        const again = await get(path, condition);
        expect(again.status).toBe(304);
        expect(again.headers.etag).toBe(etag);
        expect(again.headers['content-length']).toBeUndefined();
        expect(again.text ?? '').toBe('');
      }
      const changed = await get(path, '"other"');
      expect(changed.status).toBe(200);
      expect(changed.body).toEqual(first.body);
    },
  );

  it('is sent anew once another is stored under its id', async () => {
    await put('b', scenes[0]!);
    const { headers } = await get('/v1/collections/c/images/b/content');
    await put('b', scenes[1]!);
    const { status, headers: after, body } = await get('/v1/collections/c/images/b/content', headers.etag);
    expect(status).toBe(200);
    expect(after.etag).not.toBe(headers.etag);
    expect(Buffer.compare(body, scenes[1]!.bytes)).toBe(0);
  });

  it('is missing as before: a condition hides no 404 and no 401', async () => {
    expect((await get('/v1/collections/c/images/nobody/content', '*')).status).toBe(404);
    await service.call('PUT', '/v1/collections/bare', { json: { content: 'none' }, headers: KEY });
    const sent = { raw: scenes[0]!.bytes, headers: KEY };
    await service.call('PUT', '/v1/collections/bare/images/a', sent);
    for (const part of ['content', 'thumbnail'])
      expect((await get(`/v1/collections/bare/images/a/${part}`, '*')).status).toBe(404);
    const headers = { 'If-None-Match': '*' };
    const { status } = await service.call('GET', '/v1/collections/c/images/a/content', { headers });
    expect(status).toBe(401);
  });
});

describe('descriptions', () => {
  it.each([
    '/v1/collections',
    '/v1/collections/c',
    '/v1/collections/c/images/a',
    '/v1/models',
    '/openapi.json',
  ])('%s is not sent again while it is the same', async (path) => {
    const first = await get(path);
    expect(first.status).toBe(200);
    expect(first.headers.etag).toMatch(/^W\//);
    const again = await get(path, first.headers.etag);
    expect(again.status).toBe(304);
  });

  it('are sent anew once they change', async () => {
    const { headers } = await get('/v1/collections/c');
    await put('another', scenes[0]!);
    expect((await get('/v1/collections/c', headers.etag)).status).toBe(200);
  });

  it('and the page, and its files', async () => {
    for (const path of ['/', '/main.js', '/docs/swagger-ui.css']) {
      const first = await supertest(service.app).get(path);
      expect([path, first.status]).toEqual([path, 200]);
      const again = await supertest(service.app).get(path).set('If-None-Match', first.headers.etag!);
      expect(again.status).toBe(304);
    }
  });
});

describe('caches', () => {
  it('keep what needs a key for its owner alone, and ask again', async () => {
    for (const path of ['/v1/collections', '/v1/collections/c/images/a/content']) {
      const { headers } = await get(path);
      expect(headers['cache-control']).toBe('private, no-cache');
      expect(headers.vary).toBe('Authorization, X-Api-Key, Accept-Encoding');
      expect((await get(path, headers.etag)).headers.vary).toBe(headers.vary);
    }
  });
});
