import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestService } from '../support/test-service.js';

describe('POST /v1/collections/{collection}/vectors', () => {
  let service: TestService;
  let dimension: number;
  beforeAll(async () => {
    service = await TestService.start();
    dimension = (await service.call('PUT', '/v1/collections/vectors', { json: {} })).body.dimension;
  });
  afterAll(() => service.close());

  const post = (vectors: unknown, collection = 'vectors') =>
    service.call('POST', `/v1/collections/${collection}/vectors`, { json: { vectors } });
  const base64 = (values: Float32Array) => Buffer.from(values.buffer).toString('base64');
  const axis = (at: number) => Float32Array.from({ length: dimension }, (_, i) => (i === at ? 2 : 0));
  const count = async () => (await service.call('GET', '/v1/collections/vectors')).body.count;

  it('stores numbers and base64, finds them, and finds them unchanged again', async () => {
    const vectors = [
      { id: 'numbers', vector: [...axis(0)], metadata: { axis: 0 } },
      { id: 'base64', vector: base64(axis(1)), metadata: { axis: 1 } },
    ];
    const { status, body } = await post(vectors);
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        results: [
          { id: 'numbers', status: 'created' },
          { id: 'base64', status: 'created' },
        ],
      },
    });
    expect((await post(vectors)).body.results.map((result: { status: string }) => result.status)).toEqual([
      'unchanged',
      'unchanged',
    ]);
    const found = await service.call('POST', '/v1/collections/vectors/search', {
      json: { vector: [...axis(1)], k: 1 },
    });
    expect(found.body.results).toMatchObject([{ id: 'base64', score: 1, metadata: { axis: 1 } }]);
    const image = await service.call('GET', '/v1/collections/vectors/images/base64');
    expect(image.body).toMatchObject({
      width: 0,
      height: 0,
      bytes: 0,
      hasOriginal: false,
      hasThumbnail: false,
    });
    const content = await service.call('GET', '/v1/collections/vectors/images/base64/content');
    expect(content.status).toBe(404);
  });

  it('takes and gives base64 wherever it takes and gives numbers: the same vectors, bit for bit', async () => {
    const odd = Float32Array.from({ length: dimension }, (_, i) => Math.sin(i + 1) / 3);
    await service.call('PUT', '/v1/collections/base64', { json: {} });
    await post([{ id: 'odd', vector: base64(odd) }], 'base64');
    const path = '/v1/collections/base64';
    const inForms = async (ask: (withVectors: 'float' | 'base64') => Promise<unknown>) => {
      const [numbers, text] = [await ask('float'), await ask('base64')];
      expect(text).toBe(base64(Float32Array.from(numbers as number[])));
      return text;
    };
    const stored = await inForms(
      async (withVectors) =>
        (await service.call('GET', `${path}/images/odd`, { query: { withVectors } })).body.vector,
    );
    const listed = await inForms(
      async (withVectors) =>
        (await service.call('GET', `${path}/images`, { query: { withVectors } })).body.images[0].vector,
    );
    expect(listed).toBe(stored);
    for (const vector of [[...odd], base64(odd)]) {
      const found = await inForms(
        async (withVectors) =>
          (await service.call('POST', `${path}/search`, { json: { vector, withVectors } })).body.results[0]
            .vector,
      );
      expect(found).toBe(stored);
    }
    for (const vector of ['no base64!', base64(odd).slice(0, -4), 'AAAA']) {
      const { status, body } = await service.call('POST', `${path}/search`, { json: { vector } });
      expect([status, body.detail]).toEqual([400, expect.stringMatching(/base64|elements/)]);
    }
  });

  it('names what is wrong with one, and stores the others', async () => {
    const { status, body } = await post([
      { id: 'short', vector: [1, 2, 3] },
      { id: 'zero', vector: Array.from({ length: dimension }, () => 0) },
      { id: 'nan', vector: base64(axis(2).fill(NaN, 3, 4)) },
      { id: 'bad\u0000id', vector: base64(axis(2)) },
      { id: 'good', vector: base64(axis(2)) },
      { id: 'good', vector: base64(axis(3)) },
    ]);
    expect(status).toBe(200);
    expect(body.results.map((result: { status: string }) => result.status)).toEqual([
      'failed',
      'failed',
      'failed',
      'failed',
      'created',
      'failed',
    ]);
    expect(body.results[0].error.detail).toMatch(/3 elements/);
    expect(body.results[5].error.detail).toMatch(/twice/);
  });

  it.each([
    ['no vectors', () => []],
    ['too many', () => Array.from({ length: 1025 }, (_, i) => ({ id: String(i), vector: base64(axis(0)) }))],
    ['text that is no base64', () => [{ id: 'a', vector: 'hello!' }]],
    ['base64 of half a number', () => [{ id: 'a', vector: 'AAAAAAA=' }]],
    ['an unknown property', () => [{ id: 'a', vector: [1], content: 'x' }]],
  ])('refuses %s, and changes nothing', async (_, vectors) => {
    const before = await count();
    const { status } = await post(vectors());
    expect(status).toBe(400);
    expect(await count()).toBe(before);
  });

  it('needs a collection', async () => {
    expect((await post([{ id: 'a', vector: [1] }], 'nowhere')).status).toBe(404);
  });
});
