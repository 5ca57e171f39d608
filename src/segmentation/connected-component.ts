import type { Grid } from '../inference/features.js';

/**
 * The largest part of a mask that hangs together, patches touching by an edge. "Largest" by weight, or by number
 * of patches where no weights are given; of equal parts the one that comes first row by row.
 *
 * @param cells one byte a patch, row by row; any value but 0 is inside
 * @param weights one number >= 0 a patch
 * @returns the part's patches (1 inside, 0 outside), and its weight
 */
export function largestComponent(
  cells: Uint8Array,
  grid: Grid,
  weights?: Float32Array,
): { cells: Uint8Array; weight: number } {
  const isSeen = new Uint8Array(cells.length);
  let best: number[] = [];
  let bestWeight = 0;
  for (let start = 0; start < cells.length; start++) {
    if (cells[start] === 0 || isSeen[start] === 1) continue;
    isSeen[start] = 1;
    const part = [start];
    let weight = 0;
    // The list grows while it is walked: it is the queue of the search.
    for (const patch of part) {
      weight += weights?.[patch] ?? 1;
      for (const neighbour of neighboursOf(patch, grid)) {
        if (cells[neighbour] === 0 || isSeen[neighbour] === 1) continue;
        isSeen[neighbour] = 1;
        part.push(neighbour);
      }
    }
    if (weight > bestWeight || best.length === 0) [best, bestWeight] = [part, weight];
  }
  const kept = new Uint8Array(cells.length);
  for (const patch of best) kept[patch] = 1;
  return { cells: kept, weight: bestWeight };
}

function neighboursOf(patch: number, grid: Grid): number[] {
  const column = patch % grid.width;
  const neighbours: number[] = [];
  if (column > 0) neighbours.push(patch - 1);
  if (column < grid.width - 1) neighbours.push(patch + 1);
  if (patch >= grid.width) neighbours.push(patch - grid.width);
  if (patch + grid.width < grid.width * grid.height) neighbours.push(patch + grid.width);
  return neighbours;
}
