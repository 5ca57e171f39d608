import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bestMatches, type PatchFeatures } from '#dino/segmentation/best-matches.js';
import { binnedMatches } from '#dino/segmentation/binned-matches.js';
import { MatchingPool } from '#dino/segmentation/matching-pool.js';
import { createRandom } from '../../support/drawn-scenes.js';

function draw(side: number, seed: number): PatchFeatures {
  const random = createRandom(seed);
  const values = Float32Array.from({ length: side * side * 96 }, () => random() - 0.5);
  return { values, dimension: 96, grid: { height: side, width: side } };
}

/** For the pool, which takes the buffer away. */
const copy = (features: PatchFeatures) => ({ ...features, values: features.values.slice() });

describe('the matching pool', () => {
  let pool: MatchingPool;
  beforeAll(() => {
    pool = new MatchingPool({ threads: 1, queueLimit: 1 });
  });
  afterAll(() => pool.close());

  it('finds what the functions find', async () => {
    const [first, second] = [draw(7, 1), draw(8, 2)];
    for (const [binned, match] of [
      [false, bestMatches],
      [true, binnedMatches],
    ] as const) {
      const found = await pool.run({ first: copy(first), second: copy(second), binned });
      expect(found).toEqual(match(first, second));
    }
  });

  it('lets the event loop go on while it matches images of 2025 patches', async () => {
    let isRunning = true;
    const task = { first: draw(45, 1), second: draw(45, 2), binned: true };
    const found = pool.run(task).finally(() => (isRunning = false));
    let turns = 0;
    while (isRunning) {
      await setImmediate();
      turns++;
    }
    expect((await found).first.patches).toHaveLength(2025);
    // On the loop itself, the computation would leave it a turn or two.
    expect(turns).toBeGreaterThan(100);
  });

  it('copies features that are part of a larger buffer, and takes over those that fill one', async () => {
    const first = draw(5, 1);
    const batch = new Float32Array(2 * first.values.length);
    batch.set(first.values);
    const part = { ...first, values: batch.subarray(0, first.values.length) };
    await pool.run({ first, second: part, binned: false });
    expect(first.values).toHaveLength(0);
    expect(batch).not.toHaveLength(0);
  });

  it('refuses what is too much, in the queue and in one image', async () => {
    const run = () => pool.run({ first: draw(40, 1), second: draw(40, 2), binned: false });
    const answers = await Promise.allSettled([run(), run(), run(), run()]);
    const codes = answers.map((answer) => (answer.status === 'rejected' ? answer.reason.code : 'found'));
    expect(new Set(codes)).toEqual(new Set(['found', 'overloaded']));
    const large = { first: draw(65, 1), second: draw(2, 2), binned: false };
    await expect(pool.run(large)).rejects.toMatchObject({ code: 'invalid-request' });
    const binned = { first: draw(2, 1), second: draw(49, 2), binned: true };
    await expect(pool.run(binned)).rejects.toMatchObject({ code: 'invalid-request' });
  });

  it('gives up where the caller has gone, and goes on with the next', async () => {
    const gone = new AbortController();
    const found = pool.run({ first: draw(60, 1), second: draw(60, 2), binned: false }, gone.signal);
    gone.abort();
    await expect(found).rejects.toMatchObject({ name: 'AbortError' });
    const next = await pool.run({ first: draw(2, 1), second: draw(2, 1), binned: false });
    expect([...next.first.patches]).toEqual([0, 1, 2, 3]);
  });

  it('finishes what is in progress when it closes, and takes no more', async () => {
    const closing = new MatchingPool();
    const found = closing.run({ first: draw(20, 1), second: draw(20, 2), binned: false });
    await closing.close();
    expect((await found).first.patches).toHaveLength(400);
    const late = closing.run({ first: draw(2, 1), second: draw(2, 2), binned: false });
    await expect(late).rejects.toMatchObject({ code: 'not-ready' });
  });
});
