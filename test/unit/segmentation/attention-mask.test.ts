import { describe, expect, it } from 'vitest';
import { DinoError } from '#dino/errors.js';
import { attentionMasks, topMassCells } from '#dino/segmentation/attention-mask.js';
import { createRandom } from '../../support/drawn-scenes.js';

function randomAttention(length: number, seed: number): Float32Array {
  const random = createRandom(seed);
  return Float32Array.from({ length }, () => random() ** 4 * 0.02);
}

/** `visualize_attention.py` of the original, line by line: sort, cumulative sum, keep beyond 1 - threshold. */
function referenceCells(attention: Float32Array, threshold: number): Uint8Array {
  const order = [...attention.keys()].sort((a, b) => attention[a]! - attention[b]!);
  const total = attention.reduce((sum, value) => sum + value, 0);
  const cells = new Uint8Array(attention.length);
  let cumulative = 0;
  for (const patch of order) {
    cumulative += attention[patch]! / total;
    if (cumulative > 1 - threshold) cells[patch] = 1;
  }
  return cells;
}

function invalid(work: () => unknown): DinoError {
  try {
    work();
  } catch (error) {
    if (error instanceof DinoError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('the patches that hold most of the attention', () => {
  it.each([0.05, 0.3, 0.6, 0.87, 0.99])('at %f are those of the original implementation', (threshold) => {
    for (let seed = 1; seed <= 40; seed++) {
      const attention = randomAttention(seed * 13, seed);
      expect([...topMassCells(attention, threshold)]).toEqual([...referenceCells(attention, threshold)]);
    }
  });

  it('hold the threshold, and without the least of them would not', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const attention = randomAttention(200, seed);
      const total = attention.reduce((sum, value) => sum + value, 0);
      const kept = [...attention].filter((_, patch) => topMassCells(attention, 0.6)[patch] === 1);
      const mass = kept.reduce((sum, value) => sum + value, 0);
      expect(mass / total).toBeGreaterThanOrEqual(0.6 - 1e-9);
      expect((mass - Math.min(...kept)) / total).toBeLessThan(0.6);
    }
  });

  it('do not depend on the share of the attention that the CLS token keeps', () => {
    const attention = randomAttention(100, 3);
    const scaled = attention.map((value) => value / 8);
    expect([...topMassCells(scaled, 0.6)]).toEqual([...topMassCells(attention, 0.6)]);
  });

  it('of equal values are the first ones', () => {
    expect([...topMassCells(new Float32Array(10).fill(0.1), 0.5)]).toEqual([1, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
    expect([...topMassCells(Float32Array.from([1, 3, 1, 3, 1, 1]), 0.8)]).toEqual([1, 1, 1, 1, 0, 0]);
  });

  it('are none at 0, all at 1, and none where nothing is attended to', () => {
    const attention = Float32Array.from([0, 0.5, 0.25, 0]);
    expect([...topMassCells(attention, 0)]).toEqual([0, 0, 0, 0]);
    expect([...topMassCells(attention, 1)]).toEqual([1, 1, 1, 1]);
    expect([...topMassCells(attention, 0.999)]).toEqual([0, 1, 1, 0]);
    expect([...topMassCells(new Float32Array(4), 0.6)]).toEqual([0, 0, 0, 0]);
  });

  it('are not made of negative or missing numbers', () => {
    for (const broken of [-0.1, NaN, Infinity]) {
      expect(() => topMassCells(Float32Array.from([0.5, broken]), 0.6)).toThrow(RangeError);
    }
  });
});

describe('masks over heads', () => {
  const grid = { width: 8, height: 8 };
  const at = (row: number, column: number) => row * 8 + column;
  /** All its attention on a block of 3 x 3 patches. */
  const block = new Float32Array(64).map((_, patch) => {
    const [row, column] = [Math.floor(patch / 8), patch % 8];
    return row >= 3 && row <= 5 && column >= 2 && column <= 4 ? 0.1 : 0;
  });
  /** The same attention on nine patches that do not touch. */
  const scattered = new Float32Array(64).map((_, patch) => {
    const [row, column] = [Math.floor(patch / 8), patch % 8];
    return row % 3 === 0 && column % 3 === 0 ? 0.1 : 0;
  });
  const heads = [scattered, block, scattered];

  it('take the head whose mask looks most like one object unless told otherwise', () => {
    const [best, ...others] = attentionMasks({ heads, grid, threshold: 0.95 });
    expect(others).toEqual([]);
    expect(best!.head).toBe(1);
    expect([...best!.cells]).toEqual([...block].map((value) => (value > 0 ? 1 : 0)));
    expect(best!.reason).toMatch(/head 1/);
  });

  it('give every head, best first, for all', () => {
    const masks = attentionMasks({ heads, grid, threshold: 0.95, head: 'all' });
    expect(masks.map(({ head }) => head)).toEqual([1, 0, 2]);
    for (const { score } of masks) {
      expect(score).toBeGreaterThanOrEqual(0);
      expect(score).toBeLessThanOrEqual(1);
    }
    expect(masks[0]!.score).toBeGreaterThan(masks[1]!.score);
    expect([...masks[1]!.cells]).toEqual([...scattered].map((value) => (value > 0 ? 1 : 0)));
  });

  it('give the head asked for, however it scores', () => {
    const [mask] = attentionMasks({ heads, grid, head: 2 });
    expect(mask).toMatchObject({ head: 2 });
    expect([...mask!.cells]).toEqual([...topMassCells(scattered, 0.6)]);
    expect(mask!.reason).toMatch(/Head 2 was asked for/);
  });

  it('unite the masks of all heads', () => {
    const [mask, ...others] = attentionMasks({ heads, grid, threshold: 0.95, head: 'union' });
    expect(others).toEqual([]);
    expect(mask!.head).toBeNull();
    expect([...mask!.cells]).toEqual(
      Array.from(block, (value, patch) => (value + scattered[patch]! > 0 ? 1 : 0)),
    );
    expect(mask!.cells[at(0, 0)]).toBe(1);
    expect(mask!.score).toBeGreaterThan(0);
    expect(mask!.score).toBeLessThanOrEqual(1);
  });

  it('score by the attention, so the scale of a head does not matter', () => {
    const louder = block.map((value) => value * 7);
    const [quiet, loud] = [block, louder].map((head) => attentionMasks({ heads: [head], grid })[0]!.score);
    expect(loud).toBeCloseTo(quiet!, 6);
  });

  it.each(['best', 'union', 'all', 0] as const)('are an empty list for %s where nothing is kept', (head) => {
    expect(attentionMasks({ heads, grid, threshold: 0, head })).toEqual([]);
    expect(attentionMasks({ heads: [new Float32Array(64)], grid, head })).toEqual([]);
  });

  it.each([-0.1, 1.1, 2, NaN])('refuse a threshold of %f', (threshold) => {
    const error = invalid(() => attentionMasks({ heads, grid, threshold }));
    expect(error.code).toBe('invalid-request');
    expect(error.message).toMatch(/0 to 1/);
  });

  it.each([3, -1, 0.5, NaN])('refuse the head %f', (head) => {
    const error = invalid(() => attentionMasks({ heads, grid, head }));
    expect(error.code).toBe('invalid-request');
    expect(error.message).toMatch(/has 3/);
  });
});
