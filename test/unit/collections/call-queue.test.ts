import { describe, expect, it } from 'vitest';
import { CallQueue, type CallKind, type QueuedCall } from '#dino/collections/embedded/call-queue.js';

interface Named extends QueuedCall {
  readonly name: string;
}

/** The names in the order and company in which they are taken; `w` is a write, `r` a read, `q` a quick one, `a` alone. */
function taken(names: string, bytes = 0): string[] {
  const kinds: Record<string, CallKind> = { w: 'write', r: 'read', q: 'quick', a: 'alone' };
  const queue = new CallQueue<Named>();
  for (const name of names.split(' ')) queue.push({ name, kind: kinds[name[0]!]!, bytes });
  const order: string[] = [];
  for (let calls = queue.take(); calls.length > 0; calls = queue.take()) {
    order.push(calls.map(({ name }) => name).join('+'));
  }
  return order;
}

describe('the queue of a store’s thread', () => {
  it.each([
    ['r1 r2 a1', ['r1', 'r2', 'a1']],
    ['w1 w2 w3', ['w1+w2+w3']],
    ['w1 r1 w2 r2 w3', ['w1+w2+w3', 'r1', 'r2']],
    ['r1 w1 w2', ['r1', 'w1+w2']],
    ['w1 a1 w2 w3', ['w1', 'a1', 'w2+w3']],
    ['w1 r1 w2 a1 r2 w3', ['w1+w2', 'r1', 'a1', 'r2', 'w3']],
    ['q1 q2 r1 q3', ['q1+q2', 'r1', 'q3']],
    ['q1 w1 q2 w2 q3', ['q1', 'w1+w2', 'q2+q3']],
    ['q1 a1 q2', ['q1', 'a1', 'q2']],
  ])('takes %s as %j', (names, expected) => {
    expect(taken(names)).toEqual(expected);
  });

  it('lets no write overtake one that did not fit', () => {
    const half = 20 * 2 ** 20;
    expect(taken('w1 r1 w2 w3', half)).toEqual(['w1', 'r1', 'w2', 'w3']);
    const queue = new CallQueue<Named>();
    for (const [name, bytes] of Object.entries({ w1: 1, w2: 2 ** 30, w3: 1 }))
      queue.push({ name, kind: 'write', bytes });
    expect(queue.take().map(({ name }) => name)).toEqual(['w1']);
    expect(queue.take().map(({ name }) => name)).toEqual(['w2']);
    expect(queue.take().map(({ name }) => name)).toEqual(['w3']);
  });

  it('bounds a group, so that a read behind it waits a bounded time', () => {
    const names = Array.from({ length: 300 }, (_, i) => `w${i}`).join(' ');
    expect(taken(`${names} r`).map((group) => group.split('+').length)).toEqual([256, 44, 1]);
  });

  it('bounds how many quick reads go together', () => {
    const names = Array.from({ length: 40 }, (_, i) => `q${i}`).join(' ');
    expect(taken(names).map((group) => group.split('+').length)).toEqual([32, 8]);
  });

  it('has what was given back as the next, in its order', () => {
    const queue = new CallQueue<Named>();
    for (const name of ['q1', 'q2', 'q3']) queue.push({ name, kind: 'quick', bytes: 0 });
    const calls = queue.take();
    queue.push({ name: 'w1', kind: 'write', bytes: 0 });
    queue.giveBack(calls.slice(1));
    expect(queue.take().map(({ name }) => name)).toEqual(['q2', 'q3']);
    expect(queue.take().map(({ name }) => name)).toEqual(['w1']);
  });

  it('is empty when all is taken', () => {
    expect(new CallQueue<Named>().take()).toEqual([]);
  });
});
