import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawScene, type DrawnScene } from '../support/drawn-scenes.js';
import { TestService } from '../support/test-service.js';

let service: TestService;
let scenes: DrawnScene[];
beforeAll(async () => {
  service = await TestService.start({ embeddingCache: 'disk' });
  scenes = await Promise.all(
    Array.from({ length: 6 }, (_, i) => drawScene({ className: 'disc-on-stripes', seed: 40 + i })),
  );
});
afterAll(() => service.close());

/** Images that went through the model, and what the cache did, since the service started. */
async function counts(): Promise<Record<'inferred' | 'hit' | 'shared' | 'miss', number>> {
  const { text } = await service.call('GET', '/metrics');
  const read = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? 0);
  const outcome = (name: string): number =>
    read(new RegExp(`^dino_embedding_cache_total\\{outcome="${name}"\\} (\\d+)$`, 'm'));
  return {
    inferred: read(/^dino_inference_batch_size_sum (\d+)$/m),
    hit: outcome('hit'),
    shared: outcome('shared'),
    miss: outcome('miss'),
  };
}

async function embed(...images: DrawnScene[]): Promise<string[]> {
  const { status, body } = await service.call('POST', '/v1/embeddings', {
    query: { encoding_format: 'base64' },
    files: images.map(({ bytes }, i) => ({ name: `${i}.jpg`, bytes })),
  });
  expect(status).toBe(200);
  return body.data.map(({ embedding }: { embedding: string }) => embedding);
}

async function during(work: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = await counts();
  await work();
  const after = await counts();
  return Object.fromEntries(
    Object.entries(after).map(([name, count]) => [name, count - before[name as 'inferred']]),
  );
}

describe('the same image again', () => {
  it('costs no inference, in whatever it comes, and has the same vector to the last bit', async () => {
    const [first] = await embed(scenes[0]!);
    const cost = await during(async () => {
      expect(await embed(scenes[0]!)).toEqual([first]);
      expect(await embed(scenes[0]!, scenes[0]!)).toEqual([first, first]);
      await service.call('PUT', '/v1/collections/c', { json: {} });
      await service.call('PUT', '/v1/collections/c/images/a', { raw: scenes[0]!.bytes });
      const { body } = await service.call('POST', '/v1/collections/c/search', {
        query: { k: 1, withVectors: 'base64' },
        raw: scenes[0]!.bytes,
      });
      expect(body.results[0]).toMatchObject({ id: 'a', vector: first });
    });
    expect(cost).toEqual({ inferred: 0, hit: 5, shared: 0, miss: 0 });
  });

  it('is made once for requests that come together', async () => {
    const cost = await during(async () => {
      const answers = await Promise.all(Array.from({ length: 12 }, () => embed(scenes[1]!)));
      expect(new Set(answers.flat()).size).toBe(1);
    });
    expect(cost.inferred).toBe(1);
    expect(cost.miss).toBe(1);
    expect(cost.hit! + cost.shared!).toBe(11);
  });

  it('is made anew where one byte is another', async () => {
    const changed = { ...scenes[0]!, bytes: Buffer.concat([scenes[0]!.bytes, Buffer.from([0])]) };
    expect((await during(() => embed(changed))).inferred).toBe(1);
  });

  it('is refused again where it was', async () => {
    const bytes = scenes[2]!.bytes.subarray(0, 3000);
    const cost = await during(async () => {
      for (let i = 0; i < 2; i++) {
        const { status } = await service.call('POST', '/v1/embeddings', { raw: bytes });
        expect(status).toBe(422);
      }
    });
    expect(cost).toEqual({ inferred: 0, hit: 0, shared: 0, miss: 2 });
    const text = await service.call('POST', '/v1/embeddings', { raw: Buffer.from('no image') });
    expect(text.status).toBe(415);
  });
});

describe('kept on disk', () => {
  it('is there after a restart; a smaller limit of pixels still refuses it', async () => {
    const [first] = await embed(scenes[3]!);
    await service.restart();
    const cost = await during(async () => expect(await embed(scenes[3]!)).toEqual([first]));
    expect(cost).toEqual({ inferred: 0, hit: 1, shared: 0, miss: 0 });
    await service.restart({ maxImagePixels: 10_000 });
    expect((await service.call('POST', '/v1/embeddings', { raw: scenes[3]!.bytes })).status).toBe(413);
    await service.restart({ maxImagePixels: undefined });
  });

  it('is made again in another mode of preprocessing, and by a damaged file', async () => {
    await embed(scenes[4]!);
    await service.restart({ preprocessing: 'exact' });
    expect((await during(() => embed(scenes[4]!))).inferred).toBe(1);
    await service.restart({ preprocessing: undefined });
    expect((await during(() => embed(scenes[4]!))).inferred).toBe(0);
    const path = join(service.dataDir, 'embeddings.cache');
    const file = await readFile(path);
    await service.restart({}, () => writeFile(path, file.fill(1, 0, 40)));
    expect((await during(() => embed(scenes[4]!))).inferred).toBe(1);
  });
});
