import { describe, expect, it } from 'vitest';
import { Batcher, type BatchRequest } from '#dino/inference/batcher.js';
import type { FeatureName, Features } from '#dino/inference/features.js';

/** A runner that waits to be told; each image's features carry its first pixel. */
function createRunner() {
  const batches: { sizes: string[]; finish(error?: Error): void }[] = [];
  const run = (requests: readonly BatchRequest[]) =>
    new Promise<Features[]>((resolve, reject) => {
      batches.push({
        sizes: requests.map(({ pixels }) => `${pixels.width}x${pixels.height}`),
        finish: (error) =>
          error
            ? reject(error)
            : resolve(
                requests.map(({ pixels }) => ({
                  grid: { width: 1, height: 1 },
                  embedding: Float32Array.of(pixels.data[0]!),
                })),
              ),
      });
    });
  return { batches, run };
}

function request(value: number, size = 16, names: readonly FeatureName[] = ['embedding']): BatchRequest {
  return { pixels: { data: new Uint8Array(size * size * 3).fill(value), width: size, height: size }, names };
}

describe('Batcher', () => {
  it('runs the first image at once and gathers what comes meanwhile', async () => {
    const { batches, run } = createRunner();
    const batcher = new Batcher({ run, concurrency: 1, maxBatch: 4 });
    const answers = [1, 2, 3, 4, 5, 6].map((value) => batcher.submit(request(value)));
    expect(batches.map(({ sizes }) => sizes.length)).toEqual([1]);
    batches[0]!.finish();
    await answers[0];
    expect(batches.map(({ sizes }) => sizes.length)).toEqual([1, 4]);
    batches[1]!.finish();
    await answers[4];
    batches[2]!.finish();
    const features = await Promise.all(answers);
    expect(features.map(({ embedding }) => embedding![0])).toEqual([1, 2, 3, 4, 5, 6]);
    expect(batcher.length).toBe(0);
  });

  it('never mixes sizes or features in a batch, and starts with the oldest', async () => {
    const { batches, run } = createRunner();
    const batcher = new Batcher({ run, concurrency: 1, maxBatch: 8 });
    const answers = [
      batcher.submit(request(0)),
      batcher.submit(request(1, 32)),
      batcher.submit(request(2, 16)),
      batcher.submit(request(3, 32)),
      batcher.submit(request(4, 32, ['attention'])),
    ];
    for (const expected of [['16x16'], ['32x32', '32x32'], ['16x16'], ['32x32']]) {
      const batch = batches.at(-1)!;
      expect(batch.sizes).toEqual(expected);
      batch.finish();
      await new Promise(setImmediate);
    }
    await Promise.all(answers);
    expect(batches).toHaveLength(4);
  });

  it('drops images whose caller has gone before they cost inference', async () => {
    const { batches, run } = createRunner();
    const batcher = new Batcher({ run, concurrency: 1, maxBatch: 8 });
    const gone = new AbortController();
    const first = batcher.submit(request(1));
    const second = batcher.submit(request(2), gone.signal);
    const third = batcher.submit(request(3));
    gone.abort(new Error('gone'));
    batches[0]!.finish();
    await first;
    await expect(second).rejects.toThrow('gone');
    expect(batches[1]!.sizes).toHaveLength(1);
    batches[1]!.finish();
    expect((await third).embedding![0]).toBe(3);
    await expect(batcher.submit(request(4), gone.signal)).rejects.toThrow('gone');
  });

  it('hands a failure to the images of that batch alone', async () => {
    const { batches, run } = createRunner();
    const batcher = new Batcher({ run, concurrency: 1, maxBatch: 8 });
    const first = batcher.submit(request(1));
    const second = batcher.submit(request(2));
    batches[0]!.finish(new Error('broken'));
    await expect(first).rejects.toThrow('broken');
    batches[1]!.finish();
    expect((await second).embedding![0]).toBe(2);
  });

  it('runs as many batches at once as there are workers', () => {
    const { batches, run } = createRunner();
    const batcher = new Batcher({ run, concurrency: 2, maxBatch: 1 });
    for (const value of [1, 2, 3]) void batcher.submit(request(value));
    expect(batches).toHaveLength(2);
    expect(batcher.length).toBe(1);
  });
});
