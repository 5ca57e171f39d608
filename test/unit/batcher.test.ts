import { describe, expect, it } from 'vitest';
import type { Caller, Priority } from '#dino/caller.js';
import { Batcher, type BatchRequest } from '#dino/inference/batcher.js';
import type { FeatureName, Features } from '#dino/inference/features.js';
import { Timings } from '#dino/timings.js';
import { INTERACTIVE_TURNS } from '#dino/turns.js';

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
  const pixels = { data: new Uint8Array(size * size * 3).fill(value), width: size, height: size };
  return { pixels, patches: (size / 16) ** 2, names };
}

const from = (priority: Priority, timings?: Timings): Caller => ({
  signal: new AbortController().signal,
  priority,
  timings,
});

/** Lets the batches run one after the other, and says what was in each. */
async function runAll({ batches }: ReturnType<typeof createRunner>, batcher: Batcher): Promise<string[][]> {
  for (let done = 0; done < batches.length || batcher.length > 0; done++) {
    batches[done]!.finish();
    await new Promise(setImmediate);
  }
  return batches.map(({ sizes }) => sizes);
}

describe('Batcher', () => {
  it('runs the first image at once and gathers what comes meanwhile', async () => {
    const { batches, run } = createRunner();
    const batcher = new Batcher({ run, concurrency: 1, bounds: { images: 4, patches: 1000 } });
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

  it('never mixes sizes or features in a batch, and goes on with what has had least', async () => {
    const { batches, run } = createRunner();
    const batcher = new Batcher({ run, concurrency: 1, bounds: { images: 8, patches: 1000 } });
    const answers = [
      batcher.submit(request(0)),
      batcher.submit(request(1, 32)),
      batcher.submit(request(2, 16)),
      batcher.submit(request(3, 32)),
      batcher.submit(request(4, 32, ['attention'])),
    ];
    for (const expected of [['16x16'], ['32x32', '32x32'], ['32x32'], ['16x16']]) {
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
    const batcher = new Batcher({ run, concurrency: 1, bounds: { images: 8, patches: 1000 } });
    const gone = new AbortController();
    const caller: Caller = { signal: gone.signal, priority: 'interactive' };
    const first = batcher.submit(request(1));
    const second = batcher.submit(request(2), caller);
    const third = batcher.submit(request(3));
    gone.abort(new Error('gone'));
    batches[0]!.finish();
    await first;
    await expect(second).rejects.toThrow('gone');
    expect(batches[1]!.sizes).toHaveLength(1);
    batches[1]!.finish();
    expect((await third).embedding![0]).toBe(3);
    await expect(batcher.submit(request(4), caller)).rejects.toThrow('gone');
  });

  it('hands a failure to the images of that batch alone', async () => {
    const { batches, run } = createRunner();
    const batcher = new Batcher({ run, concurrency: 1, bounds: { images: 8, patches: 1000 } });
    const first = batcher.submit(request(1));
    const second = batcher.submit(request(2));
    batches[0]!.finish(new Error('broken'));
    await expect(first).rejects.toThrow('broken');
    batches[1]!.finish();
    expect((await second).embedding![0]).toBe(2);
  });

  it('runs as many batches at once as there are workers', () => {
    const { batches, run } = createRunner();
    const batcher = new Batcher({ run, concurrency: 2, bounds: { images: 1, patches: 1000 } });
    for (const value of [1, 2, 3]) void batcher.submit(request(value));
    expect(batches).toHaveLength(2);
    expect(batcher.length).toBe(1);
  });

  it('bounds a batch by patches too, but runs an image that has more of them alone', async () => {
    const runner = createRunner();
    const batcher = new Batcher({ run: runner.run, concurrency: 1, bounds: { images: 8, patches: 9 } });
    for (const size of [64, 32, 32, 32, 32]) void batcher.submit(request(0, size));
    // 16 patches; then 4 each, of which 9 hold two.
    expect((await runAll(runner, batcher)).map((sizes) => sizes.length)).toEqual([1, 2, 2]);
  });

  it('gives every size the same share of patches, however many of each wait', async () => {
    const runner = createRunner();
    const batcher = new Batcher({ run: runner.run, concurrency: 1, bounds: { images: 4, patches: 16 } });
    // 64 px have 16 patches and 32 px have 4.
    for (let i = 0; i < 6; i++) void batcher.submit(request(0, 64));
    for (let i = 0; i < 9; i++) void batcher.submit(request(0, 32));
    const sizes = await runAll(runner, batcher);
    expect(sizes.map((batch) => `${batch.length} of ${batch[0]}`)).toEqual([
      '1 of 64x64',
      '4 of 32x32',
      '1 of 64x64',
      '4 of 32x32',
      '1 of 64x64',
      '1 of 32x32',
      '1 of 64x64',
      '1 of 64x64',
      '1 of 64x64',
    ]);
  });

  it('lets no size gain by coming anew at every turn', async () => {
    const runner = createRunner();
    const batcher = new Batcher({ run: runner.run, concurrency: 1, bounds: { images: 1, patches: 100 } });
    void batcher.submit(request(0, 32));
    for (let i = 0; i < 4; i++) void batcher.submit(request(0, 64));
    for (let turn = 0; turn < 20; turn++) {
      if (runner.batches.at(-1)!.sizes[0] === '32x32') void batcher.submit(request(0, 32));
      runner.batches.at(-1)!.finish();
      await new Promise(setImmediate);
    }
    // Four times as many patches: a quarter as often.
    const large = runner.batches.slice(0, 18).filter(({ sizes }) => sizes[0] === '64x64');
    expect(large).toHaveLength(4);
  });

  it('runs interactive images first, and bulk ones still get their turn', async () => {
    const runner = createRunner();
    const batcher = new Batcher({ run: runner.run, concurrency: 1, bounds: { images: 1, patches: 100 } });
    void batcher.submit(request(0));
    for (let i = 0; i < 2; i++) void batcher.submit(request(0, 32), from('bulk'));
    for (let i = 0; i < 20; i++) void batcher.submit(request(0, 16), from('interactive'));
    const sizes = (await runAll(runner, batcher)).map(([size]) => size);
    const turns = sizes.flatMap((size, i) => (size === '32x32' ? i : []));
    expect(turns).toEqual([1 + INTERACTIVE_TURNS, 2 + 2 * INTERACTIVE_TURNS]);
  });

  it('never mixes priorities in a batch', async () => {
    const runner = createRunner();
    const batcher = new Batcher({ run: runner.run, concurrency: 1, bounds: { images: 8, patches: 100 } });
    void batcher.submit(request(0));
    for (const priority of ['bulk', 'interactive', 'bulk'] as const)
      void batcher.submit(request(0), from(priority));
    expect((await runAll(runner, batcher)).map((sizes) => sizes.length)).toEqual([1, 1, 2]);
  });

  it('tells a caller how long its images waited and ran', async () => {
    const runner = createRunner();
    const batcher = new Batcher({ run: runner.run, concurrency: 1, bounds: { images: 8, patches: 100 } });
    const timings = new Timings();
    expect(timings.toHeader()).toBeUndefined();
    void batcher.submit(request(0));
    const waiting = batcher.submit(request(0), from('interactive', timings));
    await runAll(runner, batcher);
    await waiting;
    expect(timings.toHeader()).toMatch(/^queue;dur=\d+\.\d\d, inference;dur=\d+\.\d\d, total;dur=\d+\.\d\d$/);
  });
});
