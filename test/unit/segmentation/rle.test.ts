import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { maskArea, maskBox } from '#dino/segmentation/pixel-mask.js';
import { compressCounts, decodeRle, decompressCounts, encodeRle, rleCounts } from '#dino/segmentation/rle.js';
import { expandMask } from '#dino/vision/grid-cover.js';
import { createRandom } from '../../support/drawn-scenes.js';

interface Reference {
  cases: {
    grid: { width: number; height: number };
    width: number;
    height: number;
    cells: string;
    counts: string;
    area: number;
    bbox: number[];
  }[];
}

const { cases } = JSON.parse(
  readFileSync(new URL('pycocotools-reference.json', import.meta.url), 'utf8'),
) as Reference;

/** Column by column, run by run, from the pixels. */
function plainCounts(pixels: Uint8Array, width: number, height: number): number[] {
  const counts = [0];
  let value = 0;
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      if (pixels[y * width + x] !== value) {
        counts.push(0);
        value = 1 - value;
      }
      counts[counts.length - 1]! += 1;
    }
  }
  return counts;
}

describe('COCO run lengths', () => {
  it.each(cases)(
    'of $grid at $width x $height are those of pycocotools, and so are area and box',
    (reference) => {
      const mask = { ...reference, cells: Uint8Array.from(reference.cells, Number) };
      expect(encodeRle(mask)).toEqual({
        size: [reference.height, reference.width],
        counts: reference.counts,
      });
      expect(maskArea(mask)).toBe(reference.area);
      expect(maskBox(mask)).toEqual(reference.bbox);
      expect([...decodeRle(encodeRle(mask))]).toEqual([...expandMask(mask)]);
    },
  );

  it('are the runs of the pixels, for grids and sizes of all kinds', () => {
    const random = createRandom(23);
    const upTo = (limit: number) => 1 + Math.floor(random() * limit);
    for (let round = 0; round < 200; round++) {
      const grid = { width: upTo(9), height: upTo(9) };
      const density = random();
      const cells = Uint8Array.from({ length: grid.width * grid.height }, () => (random() < density ? 1 : 0));
      const mask = { cells, grid, width: upTo(60), height: upTo(60) };
      const pixels = expandMask(mask);
      const counts = rleCounts(mask);
      expect(counts).toEqual(plainCounts(pixels, mask.width, mask.height));
      expect(decompressCounts(compressCounts(counts))).toEqual(counts);
      expect([...decodeRle(encodeRle(mask))]).toEqual([...pixels]);
      expect([...decodeRle({ size: [mask.height, mask.width], counts })]).toEqual([...pixels]);
    }
  });

  it('stay exact for runs of fifty million pixels', () => {
    for (const counts of [
      [50_000_000],
      [0, 49_999_999, 1],
      [7, 25_000_000, 1, 24_999_991, 1],
      [31, 32, 33, 15, 16, 17, 1023, 1024],
    ]) {
      expect(decompressCounts(compressCounts(counts))).toEqual(counts);
    }
  });
});

describe('run lengths from a caller', () => {
  const refusal = (rle: Parameters<typeof decodeRle>[0], options?: { maxPixels?: number }): unknown => {
    try {
      decodeRle(rle, options);
    } catch (error) {
      return error;
    }
    return undefined;
  };

  it.each([
    ['cut-off text', { size: [3, 2], counts: 'P' }],
    ['letters that COCO does not use', { size: [3, 2], counts: '6!' }],
    ['letters outside ASCII', { size: [3, 2], counts: '6é' }],
    ['a number without end', { size: [3, 2], counts: 'ooooooooooooo6' }],
    ['runs that are too short', { size: [3, 2], counts: [5] }],
    ['runs that are too long', { size: [3, 2], counts: [3, 4] }],
    ['negative runs', { size: [3, 2], counts: [8, -2] }],
    ['negative runs in text', { size: [3, 2], counts: compressCounts([8, -2]) }],
    ['broken runs', { size: [3, 2], counts: [5.5, 0.5] }],
    ['runs that are no numbers', { size: [3, 2], counts: [6, NaN] }],
    ['no size', { size: [], counts: [] }],
    ['a size of nothing', { size: [0, 0], counts: [0] }],
    ['a broken size', { size: [1.5, 4], counts: [6] }],
  ])('with %s are refused', (_, rle) => {
    expect(refusal(rle)).toMatchObject({ code: 'invalid-request' });
  });

  it('larger than allowed are refused before memory is taken', () => {
    expect(refusal({ size: [1e9, 1e6], counts: [1e15] })).toMatchObject({ code: 'payload-too-large' });
    expect(refusal({ size: [10, 10], counts: [100] }, { maxPixels: 99 })).toMatchObject({
      code: 'payload-too-large',
    });
    expect(refusal({ size: [10, 10], counts: [100] }, { maxPixels: 100 })).toBeUndefined();
  });
});
