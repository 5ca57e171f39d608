import { describe, expect, it } from 'vitest';
import type { Caller, Priority } from '#dino/caller.js';
import { INTERACTIVE_TURNS } from '#dino/turns.js';
import { DecodeQueue, defaultSlots } from '#dino/vision/decode-queue.js';

const from = (priority: Priority): Caller => ({ signal: new AbortController().signal, priority });

describe('DecodeQueue', () => {
  it('decodes as many at once as it has slots, the oldest first', async () => {
    const queue = new DecodeQueue({ slots: 2 });
    let now = 0;
    let most = 0;
    const order: number[] = [];
    const work = (i: number) => async () => {
      order.push(i);
      most = Math.max(most, ++now);
      await new Promise(setImmediate);
      now -= 1;
      return i;
    };
    const done = Promise.all([0, 1, 2, 3, 4].map((i) => queue.run(work(i))));
    expect(await done).toEqual([0, 1, 2, 3, 4]);
    expect([most, order, queue.length]).toEqual([2, [0, 1, 2, 3, 4], 0]);
  });

  it('goes on after one that fails', async () => {
    const queue = new DecodeQueue({ slots: 1 });
    const failing = queue.run(() => Promise.reject(new Error('damaged')));
    const next = queue.run(async () => 'pixels');
    await expect(failing).rejects.toThrow('damaged');
    expect(await next).toBe('pixels');
  });

  it('never begins work whose caller has gone, whether before or while it waits', async () => {
    const queue = new DecodeQueue({ slots: 1 });
    const gone = new AbortController();
    const caller: Caller = { signal: gone.signal, priority: 'bulk' };
    const begun: string[] = [];
    const first = queue.run(async () => begun.push('first'));
    const waiting = queue.run(async () => begun.push('waiting'), caller);
    gone.abort(new Error('gone'));
    await first;
    await expect(waiting).rejects.toThrow('gone');
    await expect(queue.run(async () => begun.push('late'), caller)).rejects.toThrow('gone');
    expect([begun, queue.length]).toEqual([['first'], 0]);
  });

  it('takes interactive work first, and bulk work in its turn', async () => {
    const queue = new DecodeQueue({ slots: 1 });
    const order: Priority[] = [];
    const ask = (priority: Priority) => queue.run(async () => order.push(priority), from(priority));
    const asked = [ask('interactive'), ask('bulk'), ask('bulk')];
    for (let i = 0; i < INTERACTIVE_TURNS + 2; i++) asked.push(ask('interactive'));
    await Promise.all(asked);
    expect(order.indexOf('bulk')).toBe(1 + INTERACTIVE_TURNS);
    expect(order.lastIndexOf('bulk')).toBe(order.length - 1);
  });

  it('has a slot per core by default, and leaves a thread to files', () => {
    expect(defaultSlots()).toBeGreaterThanOrEqual(1);
    expect(defaultSlots()).toBeLessThanOrEqual(3);
  });
});
