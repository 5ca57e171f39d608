import { describe, expect, it } from 'vitest';
import { dueTimes } from '../../bench/load.js';
import { medianRatio, percentile, rateOf } from '../../bench/statistics.js';

describe('what is made of measured times', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);

  it('has percentiles that were measured', () => {
    expect([0.5, 0.9, 0.99, 1].map((share) => percentile(hundred, share))).toEqual([50, 90, 99, 100]);
    expect(percentile([7], 0.99)).toBe(7);
    expect(() => percentile([], 0.5)).toThrow('nothing to take a percentile of');
  });

  it('takes ratios round by round, so that a round on a slow machine does not count as a slow program', () => {
    expect(medianRatio([20, 2, 22], [10, 1, 10])).toBe(2);
  });

  it('tells the rate of answers that come in batches wherever the window begins', () => {
    // Batches of 8, two a second.
    const inBatches = Array.from({ length: 160 }, (_, i) => Math.floor(i / 8) * 500);
    for (const cut of [0, 3, 7]) expect(rateOf(inBatches.slice(cut))).toBeCloseTo(16, 1);
    expect(() => rateOf([5, 5])).toThrow('measure longer');
  });

  it('sends an open load at its rate, evenly or at random', () => {
    expect(dueTimes({ perSecond: 4, seconds: 1, arrivals: 'even' })).toEqual([0, 250, 500, 750]);
    const random = dueTimes({ perSecond: 100, seconds: 100, arrivals: 'poisson' });
    expect(Math.abs(random.length - 10_000)).toBeLessThan(300);
    const gaps = random.slice(1).map((time, i) => time - random[i]!);
    // Of an exponential distribution with a mean of 10 ms: half of the gaps are below 6.93 ms.
    expect(percentile(gaps, 0.5)).toBeGreaterThan(6.5);
    expect(percentile(gaps, 0.5)).toBeLessThan(7.4);
  });
});
