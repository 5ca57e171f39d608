import { describe, expect, it } from 'vitest';
import { areaOf, coverOf, weightedMean, type Region } from '#dino/inference/region.js';
import { createRandom } from '../support/drawn-scenes.js';

const image = (width: number, height: number) => ({ width, height, mediaType: 'image/png' }) as const;

/** A mask as pixels, row by row, and as the runs of its columns. */
function drawMask(width: number, height: number, isInside: (x: number, y: number) => boolean) {
  const pixels = Array.from({ length: width * height }, (_, at) =>
    isInside(at % width, Math.floor(at / width)),
  );
  const runs: number[] = [0];
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      if (pixels[y * width + x] !== (runs.length % 2 === 0)) runs.push(0);
      runs[runs.length - 1]! += 1;
    }
  }
  return { pixels, region: { runs, width, height } satisfies Region };
}

describe('the area of a region', () => {
  it('is the whole pixels of a box, as far as the image goes', () => {
    expect(areaOf({ bbox: [10.5, 20, 30, 40.2] }, image(100, 80))).toEqual({
      left: 10,
      top: 20,
      width: 31,
      height: 41,
    });
    expect(areaOf({ bbox: [-5, -5, 200, 10] }, image(100, 80))).toEqual({
      left: 0,
      top: 0,
      width: 100,
      height: 5,
    });
  });

  it.each([
    ['beyond the image', [100, 0, 5, 5]],
    ['before it', [-5, 0, 5, 5]],
    ['without width', [5, 5, 0, 5]],
    ['turned inside out', [50, 50, -20, 5]],
    ['that is no number', [NaN, 0, 5, 5]],
  ])('refuses a box %s', (_what, bbox) => {
    expect(() => areaOf({ bbox }, image(100, 80))).toThrow(/holds no part of the image of 100 x 80 px/);
  });

  it('is the box of a mask, counted pixel by pixel', () => {
    const { region } = drawMask(17, 11, (x, y) => x >= 3 && x < 9 && y >= 2 && y < 10 && x + y < 14);
    expect(areaOf(region, image(17, 11))).toEqual({ left: 3, top: 2, width: 6, height: 8 });
    // From the bottom of one column to the top of the next.
    expect(areaOf({ runs: [9, 2, 9], width: 2, height: 10 }, image(2, 10))).toEqual({
      left: 0,
      top: 0,
      width: 2,
      height: 10,
    });
  });

  it('refuses an empty mask and one of another size', () => {
    const { region } = drawMask(4, 3, () => false);
    expect(() => areaOf(region, image(4, 3))).toThrow(/holds no pixel/);
    expect(() => areaOf(region, image(3, 4))).toThrow(/4 x 3 px, but the image 3 x 4/);
  });
});

describe('how much of each patch a region covers', () => {
  it('is, of a mask, the share of its pixels, whatever the grid', () => {
    const random = createRandom(3);
    const { pixels, region } = drawMask(23, 19, () => random() < 0.5);
    const grid = { width: 5, height: 4 };
    const inside = new Float64Array(20);
    const all = new Float64Array(20);
    pixels.forEach((isInside, at) => {
      const column = Math.floor(((at % 23) + 0.5) * (5 / 23));
      const row = Math.floor((Math.floor(at / 23) + 0.5) * (4 / 19));
      all[row * 5 + column]! += 1;
      if (isInside) inside[row * 5 + column]! += 1;
    });
    const cover = coverOf(region, image(23, 19), grid);
    cover.forEach((share, patch) => expect(share).toBeCloseTo(inside[patch]! / all[patch]!, 6));
  });

  it('is, of a box, the share of its area, fractions of pixels too', () => {
    const cover = coverOf({ bbox: [4, 0, 7, 12.5] }, image(20, 20), { width: 2, height: 2 });
    expect([...cover]).toEqual([0.6, 0.1, 0.15, 0.025].map((share) => expect.closeTo(share, 6)));
  });

  it('is nothing for patches without a pixel', () => {
    const cover = coverOf({ bbox: [0, 0, 1, 1] }, image(1, 1), { width: 2, height: 2 });
    expect([...cover].sort()).toEqual([0, 0, 0, 1]);
  });
});

it('the mean of tokens weighs each by its patch', () => {
  const tokens = Float32Array.from([1, 2, 3, 4, 5, 6]);
  expect([...weightedMean(tokens, Float32Array.from([1, 0, 3]))]).toEqual([4, 5]);
});
