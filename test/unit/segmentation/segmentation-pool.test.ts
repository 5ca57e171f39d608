import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DinoError } from '#dino/errors.js';
import { deepSpectralMasks } from '#dino/segmentation/deep-spectral.js';
import { lostMasks } from '#dino/segmentation/lost.js';
import { maskCutMasks } from '#dino/segmentation/maskcut.js';
import { boxMasks, pointMasks } from '#dino/segmentation/prompted.js';
import { refineMasks } from '#dino/segmentation/refine.js';
import { SegmentationPool } from '#dino/segmentation/segmentation-pool.js';
import { tokenCutMasks } from '#dino/segmentation/tokencut.js';
import { maskIou } from '../../support/drawn-scenes.js';
import { drawKeys, type DrawnKeys } from './drawn-keys.js';

const LARGE = { height: 60, width: 60 };

/** Keys for the pool, which takes the buffer away. */
function keysOf({ keys, dimension, grid }: DrawnKeys) {
  return { keys: keys.slice(), dimension, grid };
}

describe('the segmentation pool', () => {
  let pool: SegmentationPool;
  beforeAll(async () => {
    pool = await SegmentationPool.create({ threads: 1, queueLimit: 1 });
  });
  afterAll(() => pool.close());

  it('lets the event loop go on while it cuts a graph of 3600 patches', async () => {
    const drawn = drawKeys({ grid: LARGE, dimension: 96 });
    let isRunning = true;
    const found = pool.run({ method: 'tokencut', ...keysOf(drawn) }).finally(() => (isRunning = false));
    let turns = 0;
    while (isRunning) {
      await setImmediate();
      turns++;
    }
    const [mask] = await found;
    expect(maskIou(mask!.cells, drawn.truth)).toBeGreaterThan(0.95);
    // On the loop itself, the computation would leave it a turn or two.
    expect(turns).toBeGreaterThan(100);
  });

  it('finds what the functions find', async () => {
    const drawn = drawKeys({ grid: { height: 9, width: 14 }, noise: 1.2 });
    expect(await pool.run({ method: 'tokencut', ...keysOf(drawn) })).toEqual(tokenCutMasks(drawn));
    expect(await pool.run({ method: 'lost', ...keysOf(drawn) })).toEqual(lostMasks(drawn));
  });

  it('finds what the functions find, for every other method', async () => {
    const drawn = drawKeys({ grid: { height: 9, width: 14 }, noise: 1.2 });
    const box = drawn.truth;
    expect(await pool.run({ method: 'maskcut', ...keysOf(drawn), objects: 2 })).toEqual(
      maskCutMasks({ ...drawn, objects: 2 }),
    );
    expect(await pool.run({ method: 'deep-spectral', ...keysOf(drawn), objects: 2 })).toEqual(
      deepSpectralMasks({ ...drawn, objects: 2 }),
    );
    expect(await pool.run({ method: 'point', ...keysOf(drawn), patch: 60 })).toEqual(
      pointMasks({ ...drawn, patch: 60 }),
    );
    expect(await pool.run({ method: 'box', ...keysOf(drawn), box })).toEqual(boxMasks({ ...drawn, box }));
  });

  it('refines masks, and takes the photo over', async () => {
    const drawn = drawKeys({ grid: { height: 6, width: 8 } });
    const data = Uint8Array.from({ length: 80 * 60 * 3 }, (_, at) => (at * 13) % 251);
    const photo = { width: 80, height: 60 };
    const task = { grid: drawn.grid, masks: [drawn.truth] };
    const expected = refineMasks({ ...task, pixels: { ...photo, data: data.slice() } });
    expect(await pool.refine({ ...task, pixels: { ...photo, data } })).toEqual(expected);
    expect(data).toHaveLength(0);
  });

  it('hands the options on', async () => {
    const drawn = drawKeys({ grid: { height: 9, width: 14 }, noise: 1.2 });
    const byTau = await pool.run({ method: 'tokencut', ...keysOf(drawn), tau: 0.5 });
    expect(byTau).toEqual(tokenCutMasks({ ...drawn, tau: 0.5 }));
    expect(byTau).not.toEqual(tokenCutMasks(drawn));
    const byFew = await pool.run({ method: 'lost', ...keysOf(drawn), candidates: 3 });
    expect(byFew).toEqual(lostMasks({ ...drawn, candidates: 3 }));
    expect(byFew).not.toEqual(lostMasks(drawn));
  });

  it('takes over keys that fill their buffer, and copies those that are part of one', async () => {
    const drawn = drawKeys({ grid: { height: 5, width: 5 } });
    const whole = drawn.keys.slice();
    await pool.run({ method: 'lost', keys: whole, dimension: drawn.dimension, grid: drawn.grid });
    expect(whole).toHaveLength(0);
    const batch = new Float32Array(2 * drawn.keys.length);
    batch.set(drawn.keys, drawn.keys.length);
    const part = batch.subarray(drawn.keys.length);
    const masks = await pool.run({
      method: 'lost',
      keys: part,
      dimension: drawn.dimension,
      grid: drawn.grid,
    });
    expect(masks).toEqual(lostMasks(drawn));
    expect(part).toEqual(drawn.keys);
  });

  it('refuses what makes no sense with the problem it is', async () => {
    const task = () => keysOf(drawKeys({ grid: { height: 4, width: 4 } }));
    const refusals = [
      pool.run({ method: 'tokencut', ...task(), tau: 2 }),
      pool.run({ method: 'maskcut', ...task(), tau: -2 }),
      pool.run({ method: 'maskcut', ...task(), objects: 0 }),
      pool.run({ method: 'deep-spectral', ...task(), objects: 11 }),
      pool.run({ method: 'lost', ...task(), candidates: 0 }),
      pool.run({ method: 'lost', ...task(), grid: { height: 100, width: 100 } }),
    ];
    for (const refusal of await Promise.allSettled(refusals)) {
      expect(refusal.status).toBe('rejected');
      const { reason } = refusal as PromiseRejectedResult;
      expect(reason).toBeInstanceOf(DinoError);
      expect((reason as DinoError).code).toBe('invalid-request');
    }
    const broken = { ...task(), keys: new Float32Array(4 * 4 * 24).fill(NaN) };
    await expect(pool.run({ method: 'tokencut', ...broken })).rejects.toThrow(RangeError);
    await expect(pool.run({ method: 'tokencut', ...task(), dimension: 7 })).rejects.toThrow(RangeError);
  });

  it('answers that it is busy when too many images wait, and serves those it has taken', async () => {
    const drawn = drawKeys({ grid: { height: 30, width: 30 }, dimension: 64 });
    const taken = [0, 1].map(() => pool.run({ method: 'lost', ...keysOf(drawn) }));
    expect(pool.queueLength).toBe(1);
    const refused = pool.run({ method: 'lost', ...keysOf(drawn) });
    await expect(refused).rejects.toMatchObject({ code: 'overloaded', retryAfterSeconds: 1 });
    for (const masks of await Promise.all(taken)) expect(masks).toEqual(lostMasks(drawn));
  });

  it('stops for a caller who has gone, at work or in the queue, and serves the next', async () => {
    const drawn = drawKeys({ grid: LARGE, dimension: 64 });
    const gone = new AbortController();
    const working = pool.run({ method: 'tokencut', ...keysOf(drawn) }, gone.signal);
    const waiting = pool.run({ method: 'tokencut', ...keysOf(drawn) }, gone.signal);
    gone.abort();
    const late = pool.run({ method: 'tokencut', ...keysOf(drawn) }, gone.signal);
    for (const one of await Promise.allSettled([working, waiting, late])) {
      expect(one).toMatchObject({ status: 'rejected', reason: { name: 'AbortError' } });
    }
    const small = drawKeys({ grid: { height: 6, width: 6 } });
    expect(await pool.run({ method: 'lost', ...keysOf(small) })).toEqual(lostMasks(small));
  });
});

it('a closing segmentation pool finishes what it has taken, in work or waiting, and takes no more', async () => {
  const pool = await SegmentationPool.create({ threads: 2 });
  const drawn = drawKeys({ grid: { height: 24, width: 24 }, dimension: 64 });
  const found = [0, 1, 2, 3, 4].map(() => pool.run({ method: 'lost', ...keysOf(drawn) }));
  await pool.close();
  for (const masks of await Promise.all(found)) expect(masks).toEqual(lostMasks(drawn));
  await expect(pool.run({ method: 'lost', ...keysOf(drawn) })).rejects.toMatchObject({ code: 'not-ready' });
});
