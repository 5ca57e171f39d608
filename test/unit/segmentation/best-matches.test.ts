import { describe, expect, it } from 'vitest';
import { DinoError } from '#dino/errors.js';
import { bestBuddies } from '#dino/segmentation/best-buddies.js';
import { bestMatches, type PatchFeatures } from '#dino/segmentation/best-matches.js';
import { binnedMatches } from '#dino/segmentation/binned-matches.js';
import { createRandom } from '../../support/drawn-scenes.js';

function features(height: number, width: number, rows: readonly (readonly number[])[]): PatchFeatures {
  return { values: Float32Array.from(rows.flat()), dimension: rows[0]!.length, grid: { height, width } };
}

function randomFeatures(height: number, width: number, seed: number): PatchFeatures {
  const random = createRandom(seed);
  const rows = Array.from({ length: height * width }, () => Array.from({ length: 6 }, () => random() - 0.5));
  return features(height, width, rows);
}

const ALL = { maxPairs: Infinity, minScore: -1 };

describe('best matches', () => {
  it('are by direction and not by length, and the first of equal ones', () => {
    const first = features(1, 2, [
      [10, 0],
      [0, 0.1],
    ]);
    const second = features(2, 2, [
      [1, 1],
      [0, 3],
      [0, 7],
      [2, 0],
    ]);
    const { first: ofFirst, second: ofSecond } = bestMatches(first, second);
    expect([...ofFirst.patches]).toEqual([3, 1]);
    expect([...ofFirst.scores]).toEqual([1, 1]);
    // The diagonal is as near to either.
    expect([...ofSecond.patches]).toEqual([0, 1, 1, 0]);
    expect(ofSecond.scores[0]).toBeCloseTo(Math.SQRT1_2, 6);
    expect(bestBuddies({ first: ofFirst, second: ofSecond }, ALL)).toEqual([
      { first: 0, second: 3, score: 1 },
      { first: 1, second: 1, score: 1 },
    ]);
  });

  it.each([
    ['plain', bestMatches],
    ['binned', binnedMatches],
  ] as const)('%s: a blank image has one pair with another, and none is above 1', (_kind, match) => {
    const blank = features(3, 5, Array<number[]>(15).fill([0.1, 0.2, 0.7]));
    const matches = match(blank, blank);
    expect(bestBuddies(matches, ALL)).toEqual([{ first: 0, second: 0, score: expect.closeTo(1, 6) }]);
    for (const score of matches.first.scores) expect(score).toBeLessThanOrEqual(1);
  });

  it.each([
    ['plain', bestMatches],
    ['binned', binnedMatches],
  ] as const)('%s: features of zero are like nothing', (_kind, match) => {
    const nothing = features(1, 2, [
      [0, 0],
      [0, 0],
    ]);
    const matches = match(nothing, nothing);
    expect([...matches.first.scores]).toEqual([0, 0]);
  });

  it('keep the best pairs up to a number and down to a score', () => {
    const matches = bestMatches(randomFeatures(7, 5, 1), randomFeatures(4, 8, 2));
    const all = bestBuddies(matches, ALL);
    expect(all.length).toBeGreaterThan(5);
    expect(all.map(({ score }) => score)).toEqual(all.map(({ score }) => score).sort((a, b) => b - a));
    expect(bestBuddies(matches, { maxPairs: 3, minScore: -1 })).toEqual(all.slice(0, 3));
    const minScore = all[2]!.score;
    expect(bestBuddies(matches, { maxPairs: 50, minScore })).toEqual(all.slice(0, 3));
  });

  it('refuse features that are not finite, of two lengths, or too many for bins', () => {
    const good = randomFeatures(2, 2, 1);
    const bad = features(1, 1, [[NaN, 0, 0, 0, 0, 0]]);
    expect(() => bestMatches(good, bad)).toThrow(RangeError);
    expect(() => bestMatches(good, features(1, 1, [[1, 2]]))).toThrow(RangeError);
    const many = randomFeatures(49, 49, 1);
    expect(() => binnedMatches(good, many)).toThrow(DinoError);
    expect(() => binnedMatches(good, many)).toThrow(/49 x 49 patches are too many/);
  });
});
