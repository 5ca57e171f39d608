import { describe, expect, it } from 'vitest';
import { Brush, type Point } from '#dino/vision/brush.js';

const SIZE = { width: 40, height: 30 };

/** Alpha of each pixel, 0..1. */
function coverOf(paint: (brush: Brush) => void): number[] {
  const pixels = new Uint8Array(SIZE.width * SIZE.height * 4);
  paint(new Brush(pixels, SIZE));
  return Array.from({ length: SIZE.width * SIZE.height }, (_, at) => pixels[at * 4 + 3]! / 255);
}

function distance({ x, y }: Point, from: Point, to: Point): number {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const along = ((x - from.x) * dx + (y - from.y) * dy) / (dx * dx + dy * dy || 1);
  const nearest = Math.min(1, Math.max(0, along));
  return Math.hypot(x - from.x - nearest * dx, y - from.y - nearest * dy);
}

describe('the brush', () => {
  it.each([
    ['sloping', { x: 5.2, y: 4 }, { x: 33, y: 24.5 }],
    ['level', { x: 30, y: 9 }, { x: 4, y: 9 }],
    ['upright', { x: 8.5, y: 28 }, { x: 8.5, y: 2 }],
    ['that is a point', { x: 20, y: 15 }, { x: 20, y: 15 }],
    ['that leaves the picture', { x: -20, y: 3 }, { x: 60, y: 40 }],
    ['almost level', { x: 2, y: 10 }, { x: 38, y: 10.4 }],
  ])('paints every pixel near a line %s, and none further off', (_name, from, to) => {
    const cover = coverOf((brush) => brush.line(from, to, 4, [255, 0, 0]));
    cover.forEach((alpha, at) => {
      const pixel = { x: (at % SIZE.width) + 0.5, y: Math.floor(at / SIZE.width) + 0.5 };
      const expected = Math.min(1, Math.max(0, 2.5 - distance(pixel, from, to)));
      expect(Math.abs(alpha - expected)).toBeLessThan(0.01);
    });
  });

  it('lays a later colour over an earlier one', () => {
    const pixels = new Uint8Array(SIZE.width * SIZE.height * 4);
    const brush = new Brush(pixels, SIZE);
    brush.dot({ x: 10.5, y: 10.5 }, 6, [0, 0, 0]);
    brush.dot({ x: 10.5, y: 10.5 }, 3, [10, 200, 30]);
    const at = (x: number, y: number) => [...pixels.subarray(4 * (y * SIZE.width + x)).subarray(0, 4)];
    expect(at(10, 10)).toEqual([10, 200, 30, 255]);
    expect(at(15, 10)).toEqual([0, 0, 0, 255]);
    expect(at(20, 10)).toEqual([0, 0, 0, 0]);
  });
});
