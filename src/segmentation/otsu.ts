/**
 * Otsu's threshold on the values themselves, without a histogram: of all ways to part them in two by size the one
 * with the largest variance between the two; of equally good ones the lowest.
 * Source: Otsu, A Threshold Selection Method from Gray-Level Histograms, 1979, equation 18.
 *
 * @param values any finite numbers
 * @returns the largest value below the threshold, so that what is above it is one part; undefined where all values
 *   are equal
 */
export function otsuLevel(values: Float64Array): number | undefined {
  const ascending = values.slice().sort();
  const count = ascending.length;
  const total = ascending.reduce((sum, value) => sum + value, 0);
  let low = 0;
  let best = 0;
  let level: number | undefined;
  for (let below = 1; below < count; below++) {
    const value = ascending[below - 1]!;
    low += value;
    // Equal values lie on one side.
    if (ascending[below] === value) continue;
    const distance = (total - low) / (count - below) - low / below;
    const variance = below * (count - below) * distance ** 2;
    if (variance > best) [best, level] = [variance, value];
  }
  return level;
}
