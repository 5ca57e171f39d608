import { describe, expect, it } from 'vitest';
import { maskArea, maskBox } from '#dino/segmentation/pixel-mask.js';
import { cellEdges, expandMask } from '#dino/vision/grid-cover.js';
import { createRandom } from '../../support/drawn-scenes.js';

interface Sample {
  cells: Uint8Array;
  grid: { width: number; height: number };
  width: number;
  height: number;
}

/** Grids and sizes at random: larger and smaller than the grid, thin, and of one pixel. */
function samples(count: number): Sample[] {
  const random = createRandom(11);
  const upTo = (limit: number) => 1 + Math.floor(random() * limit);
  return Array.from({ length: count }, () => {
    const grid = { width: upTo(12), height: upTo(12) };
    const density = random();
    const cells = Uint8Array.from({ length: grid.width * grid.height }, () => (random() < density ? 1 : 0));
    return { cells, grid, width: upTo(90), height: upTo(90) };
  });
}

/** The rule itself, pixel by pixel. */
function plainMask({ cells, grid, width, height }: Sample): number[] {
  return Array.from({ length: width * height }, (_, pixel) => {
    const column = Math.floor((((pixel % width) + 0.5) * grid.width) / width);
    const row = Math.floor(((Math.floor(pixel / width) + 0.5) * grid.height) / height);
    return cells[row * grid.width + column]!;
  });
}

function plainBox(mask: number[], width: number): number[] {
  const xs = mask.flatMap((inside, pixel) => (inside ? [pixel % width] : []));
  const ys = mask.flatMap((inside, pixel) => (inside ? [Math.floor(pixel / width)] : []));
  if (xs.length === 0) return [0, 0, 0, 0];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  return [left, top, Math.max(...xs) - left + 1, Math.max(...ys) - top + 1];
}

describe('a mask of patches in pixels', () => {
  it('agrees with the rule pixel by pixel: mask, area and box', () => {
    for (const sample of samples(300)) {
      const mask = plainMask(sample);
      expect([...expandMask(sample)]).toEqual(mask);
      expect(maskArea(sample)).toBe(mask.filter(Boolean).length);
      expect(maskBox(sample)).toEqual(plainBox(mask, sample.width));
    }
  });

  it('counts any value but 0 as inside', () => {
    const sample = {
      cells: Uint8Array.from([0, 255, 7, 0]),
      grid: { width: 2, height: 2 },
      width: 4,
      height: 2,
    };
    expect([...expandMask(sample)]).toEqual([0, 0, 1, 1, 1, 1, 0, 0]);
    expect(maskArea(sample)).toBe(4);
  });

  it('has no pixels where all its patches fall between pixels', () => {
    const cells = Uint8Array.from([1, 0, 1]);
    const sample = { cells, grid: { width: 3, height: 1 }, width: 1, height: 5 };
    expect(maskArea(sample)).toBe(0);
    expect(maskBox(sample)).toEqual([0, 0, 0, 0]);
  });

  it('covers a side exactly once, up to 100,000 px', () => {
    for (const [pixels, cells] of [
      [100_000, 30],
      [99_999, 60],
      [8660, 37],
      [1, 60],
      [17, 17],
    ] as const) {
      const edges = [...cellEdges(pixels, cells)];
      expect([edges[0], edges.at(-1), edges.length]).toEqual([0, pixels, cells + 1]);
      for (let cell = 0; cell < cells; cell++) {
        const [start, end] = [edges[cell]!, edges[cell + 1]!];
        expect(end).toBeGreaterThanOrEqual(start);
        if (end === start) continue;
        expect(Math.floor(((start + 0.5) * cells) / pixels)).toBe(cell);
        expect(Math.floor(((end - 0.5) * cells) / pixels)).toBe(cell);
      }
    }
  });

  it('refuses cells that are not those of the grid', () => {
    const broken = { cells: new Uint8Array(3), grid: { width: 2, height: 2 }, width: 4, height: 4 };
    for (const work of [expandMask, maskArea, maskBox]) expect(() => work(broken)).toThrow(RangeError);
  });
});
