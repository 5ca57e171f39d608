/** @throws Error when there are no values */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new Error('there is nothing to take a percentile of');
  const sorted = [...values].sort((a, b) => a - b);
  // Nearest rank: a value that was measured.
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** Of ratios taken in turn in one run: what drifts in the machine touches both sides of each. */
export function medianRatio(above: readonly number[], below: readonly number[]): number {
  return median(above.map((value, i) => value / below[i]!));
}

/**
 * Steady rate of events that may come in groups: the slope of their count over time by least squares. A count over a
 * window would depend on whether it begins just before or just after a group.
 *
 * @param times in ms, ascending, at least two different ones
 * @returns events per second
 */
export function rateOf(times: readonly number[]): number {
  const n = times.length;
  const meanTime = times.reduce((sum, time) => sum + time, 0) / n;
  let [covariance, variance] = [0, 0];
  times.forEach((time, i) => {
    covariance += (time - meanTime) * (i - (n - 1) / 2);
    variance += (time - meanTime) ** 2;
  });
  if (!(variance > 0)) throw new Error('too few answers to tell a rate: measure longer');
  return (covariance / variance) * 1000;
}
