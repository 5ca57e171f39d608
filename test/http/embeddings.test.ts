import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawScene, type DrawnScene } from '../support/drawn-scenes.js';
import { TestService } from '../support/test-service.js';

let service: TestService;
let scene: DrawnScene;
let other: DrawnScene;
beforeAll(async () => {
  service = await TestService.start();
  scene = await drawScene({ className: 'disc-on-stripes' });
  other = await drawScene({ className: 'cross-on-dots', width: 300, height: 180, format: 'png' });
});
afterAll(() => service.close());

const dataUri = ({ bytes, mediaType }: DrawnScene) => `data:${mediaType};base64,${bytes.toString('base64')}`;
const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0);

async function embed(image: DrawnScene): Promise<number[]> {
  const { body } = await service.call('POST', '/v1/embeddings', { raw: image.bytes, type: image.mediaType });
  return body.data[0].embedding;
}

describe('POST /v1/embeddings', () => {
  it("answers a raw image with one unit vector of the model's dimension", async () => {
    const { status, body } = await service.call('POST', '/v1/embeddings', { raw: scene.bytes });
    expect(status).toBe(200);
    const { data: models } = (await service.call('GET', '/v1/models')).body;
    expect(body.model).toBe(models[0].id);
    expect(body.data).toHaveLength(1);
    expect(body.data[0].embedding).toHaveLength(models[0].dimension);
    expect(dot(body.data[0].embedding, body.data[0].embedding)).toBeCloseTo(1, 5);
    const { crop } = models[0].manifest.preprocessing;
    expect(body.usage.prompt_tokens).toBe((crop / models[0].patchSize) ** 2);
  });

  it('gives the same vector for every form an image can come in', async () => {
    const raw = await embed(scene);
    const multipart = await service.call('POST', '/v1/embeddings', {
      files: [{ name: 'a.jpg', bytes: scene.bytes }],
    });
    const uri = await service.call('POST', '/v1/embeddings', { json: { input: dataUri(scene) } });
    const base64 = await service.call('POST', '/v1/embeddings', {
      json: { input: [scene.bytes.toString('base64')] },
    });
    await service.call('PUT', '/v1/collections/forms', { json: {} });
    await service.call('PUT', '/v1/collections/forms/images/stored', { raw: scene.bytes });
    const stored = await service.call('POST', '/v1/embeddings', {
      json: { input: { collection: 'forms', id: 'stored' } },
    });
    for (const { status, body } of [multipart, uri, base64, stored]) {
      expect(status).toBe(200);
      expect(body.data[0].embedding).toEqual(raw);
    }
  });

  it('gives a batch of three what three single requests give', async () => {
    const third = await drawScene({ className: 'ring-on-noise', seed: 9 });
    const singles = [await embed(scene), await embed(other), await embed(third)];
    const { body } = await service.call('POST', '/v1/embeddings', {
      json: { input: [scene, other, third].map(dataUri) },
    });
    expect(body.data.map((item: { index: number }) => item.index)).toEqual([0, 1, 2]);
    body.data.forEach((item: { embedding: number[] }, i: number) => {
      expect(dot(item.embedding, singles[i]!)).toBeGreaterThan(0.99999);
    });
    expect(dot(singles[0]!, singles[1]!)).toBeLessThan(0.9999);
  });

  it('writes base64 as little-endian float32 of the same numbers', async () => {
    const numbers = await embed(scene);
    const { body } = await service.call('POST', '/v1/embeddings', {
      raw: scene.bytes,
      query: { encoding_format: 'base64' },
    });
    const bytes = Buffer.from(body.data[0].embedding, 'base64');
    const decoded = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
    expect(decoded).toEqual(numbers.map(Math.fround));
  });

  it("takes dimensions only where they are the model's", async () => {
    const { data } = (await service.call('GET', '/v1/models')).body;
    const right = await service.call('POST', '/v1/embeddings', {
      raw: scene.bytes,
      query: { dimensions: data[0].dimension },
    });
    expect(right.status).toBe(200);
    const wrong = await service.call('POST', '/v1/embeddings', {
      raw: scene.bytes,
      query: { dimensions: 7 },
    });
    expect(wrong.status).toBe(400);
    expect(wrong.body.detail).toContain(String(data[0].dimension));
  });

  it('answers 404 for a model or a stored image that is not there', async () => {
    expect(
      (await service.call('POST', '/v1/embeddings', { raw: scene.bytes, query: { model: 'nobody' } })).status,
    ).toBe(404);
    const { status, body } = await service.call('POST', '/v1/embeddings', {
      json: { input: { collection: 'nowhere', id: 'x' } },
    });
    expect(status).toBe(404);
    expect(body.detail).toContain('nowhere');
  });

  it('refuses options it does not know, in the query and in JSON', async () => {
    expect(
      (
        await service.call('POST', '/v1/embeddings', {
          raw: scene.bytes,
          query: { encodingFormat: 'base64' },
        })
      ).status,
    ).toBe(400);
    expect(
      (await service.call('POST', '/v1/embeddings', { json: { input: dataUri(scene), colour: 'red' } }))
        .status,
    ).toBe(400);
  });
});
