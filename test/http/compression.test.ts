import { request, type IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawScene } from '../support/drawn-scenes.js';
import { TestService } from '../support/test-service.js';

let service: TestService;
let server: Server;
let photo: Buffer;
beforeAll(async () => {
  service = await TestService.start();
  server = createServer(service.app).listen(0, '127.0.0.1');
  photo = (await drawScene({ className: 'disc-on-stripes' })).bytes;
  await service.call('PUT', '/v1/collections/c', { json: {} });
  await service.call('PUT', '/v1/collections/c/images/a', { raw: photo });
});
afterAll(async () => {
  server.close();
  server.closeAllConnections();
  await service.close();
});

interface Answer {
  readonly headers: IncomingMessage['headers'];
  /** As it was sent. */
  readonly bytes: Buffer;
}

/** Node's own client leaves an answer as it is. */
async function ask(path: string, encoding: string | undefined, body?: Buffer): Promise<Answer> {
  const { port } = server.address() as AddressInfo;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = {
      ...(encoding === undefined ? {} : { 'Accept-Encoding': encoding }),
      ...(body === undefined ? {} : { 'Content-Type': 'image/jpeg' }),
    };
    const sent = request({ port, path, method: body === undefined ? 'GET' : 'POST', headers }, resolve);
    sent.on('error', reject);
    sent.end(body);
  });
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return { headers: response.headers, bytes: Buffer.concat(parts) };
}

const TOKENS = '/v1/embeddings?tokens=true&size=64';

describe('compressed answers', () => {
  it.each([
    ['gzip', gunzipSync],
    ['br', brotliDecompressSync],
  ])('come in %s to whoever asks, written in slices or at once', async (encoding, decompress) => {
    for (const [path, body] of [
      ['/openapi.json', undefined],
      [TOKENS, photo],
    ] as const) {
      const plain = await ask(path, undefined, body);
      const { headers, bytes } = await ask(path, encoding, body);
      expect(headers['content-encoding']).toBe(encoding);
      expect(headers.vary).toContain('Accept-Encoding');
      expect(decompress(bytes).equals(plain.bytes)).toBe(true);
      expect(bytes.length).toBeLessThan(plain.bytes.length * 0.6);
      expect(plain.headers['content-encoding']).toBeUndefined();
    }
  });

  it('are the plain ones where they are small, or pictures, or nobody asks', async () => {
    for (const [path, encoding] of [
      ['/v1/collections', 'gzip, br'],
      ['/v1/collections/c/images/a/content', 'gzip, br'],
      ['/v1/collections/c/images/a/thumbnail', 'gzip, br'],
      ['/openapi.json', 'identity'],
      ['/openapi.json', undefined],
    ] as const) {
      const { headers, bytes } = await ask(path, encoding);
      expect(headers['content-encoding']).toBeUndefined();
      expect(bytes.length).toBe(Number(headers['content-length']));
    }
  });

  it('keep the same ETag for a condition, in whichever form they came', async () => {
    const { headers } = await ask('/openapi.json', 'gzip');
    const { status } = await service.call('GET', '/openapi.json', {
      headers: { 'If-None-Match': headers.etag! },
    });
    expect(status).toBe(304);
  });

  it('begin before they end: a large answer flows', async () => {
    const { port } = server.address() as AddressInfo;
    const headers = { 'Content-Type': 'image/jpeg', 'Accept-Encoding': 'gzip' };
    const path = '/v1/embeddings?tokens=true&size=1024';
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request({ port, path, method: 'POST', headers }, resolve).on('error', reject).end(photo);
    });
    let parts = 0;
    for await (const part of response) parts += (part as Buffer).length > 0 ? 1 : 0;
    expect(parts).toBeGreaterThan(5);
  });

  it('can be turned off', async () => {
    await service.restart({ compressAbove: 0 });
    server.removeAllListeners('request');
    server.on('request', service.app);
    expect((await ask('/openapi.json', 'gzip')).headers['content-encoding']).toBeUndefined();
  });
});
