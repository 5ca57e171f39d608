import { rgb } from 'd3-color';
import { interpolateInferno } from 'd3-scale-chromatic';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { renderHeadStrip, renderHeatMap, renderOverlay } from '#dino/vision/render-attention.js';
import {
  createRandom,
  drawScene,
  exifJpeg,
  quadrants,
  truncatedJpeg,
  RED,
  YELLOW,
} from '../../support/drawn-scenes.js';

interface Picture {
  data: Buffer;
  width: number;
  height: number;
}

async function decode(png: Buffer): Promise<Picture> {
  expect((await sharp(png).metadata()).format).toBe('png');
  const { data, info } = await sharp(png)
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  expect(info.channels).toBe(3);
  return { data, width: info.width, height: info.height };
}

function pixel({ data, width }: Picture, x: number, y: number): number[] {
  return [...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
}

/** Inferno at a share of 0..1, in the 256 steps of a palette. */
function inferno(share: number): number[] {
  const { r, g, b } = rgb(interpolateInferno(Math.round(share * 255) / 255));
  return [r, g, b];
}

function randomValues(length: number, seed: number): Float32Array {
  const random = createRandom(seed);
  return Float32Array.from({ length }, () => random() * 0.01);
}

/** The share of 0..1 that a pixel of a heat map of patches must show. */
function shareAt(
  values: Float32Array,
  grid: { width: number; height: number },
  size: { width: number; height: number },
) {
  const [lowest, highest] = [Math.min(...values), Math.max(...values)];
  return (x: number, y: number) => {
    const column = Math.floor(((x + 0.5) * grid.width) / size.width);
    const row = Math.floor(((y + 0.5) * grid.height) / size.height);
    return (values[row * grid.width + column]! - lowest) / (highest - lowest);
  };
}

describe('the heat map', () => {
  it.each([
    { grid: { width: 7, height: 5 }, size: { width: 61, height: 43 } },
    { grid: { width: 3, height: 8 }, size: { width: 30, height: 80 } },
    { grid: { width: 9, height: 9 }, size: { width: 5, height: 4 } },
    { grid: { width: 1, height: 2 }, size: { width: 3, height: 2 } },
  ])('of $grid shows each pixel of $size in the colour of its patch', async ({ grid, size }) => {
    const values = randomValues(grid.width * grid.height, 5);
    const picture = await decode(await renderHeatMap({ values, grid, ...size }));
    expect([picture.width, picture.height]).toEqual([size.width, size.height]);
    const share = shareAt(values, grid, size);
    for (let y = 0; y < size.height; y++) {
      for (let x = 0; x < size.width; x++) expect(pixel(picture, x, y)).toEqual(inferno(share(x, y)));
    }
  });

  it('smoothed runs from patch to patch in the colours of the map', async () => {
    const values = Float32Array.from([0, 1, 2, 3]);
    const grid = { width: 4, height: 1 };
    const png = await renderHeatMap({ values, grid, width: 400, height: 100, interpolation: 'bicubic' });
    const picture = await decode(png);
    expect([picture.width, picture.height]).toEqual([400, 100]);
    const palette = Array.from({ length: 256 }, (_, index) => inferno(index / 255).join());
    const indices = Array.from({ length: 400 }, (_, x) => palette.indexOf(pixel(picture, x, 50).join()));
    expect(Math.min(...indices)).toBe(0);
    expect(Math.max(...indices)).toBe(255);
    indices.slice(1).forEach((index, x) => expect(index).toBeGreaterThanOrEqual(indices[x]! - 1));
    expect(new Set(indices).size).toBeGreaterThan(100);
    // Half way between the second and the third patch lies half way between their values.
    expect(Math.abs(indices[200]! - 127.5)).toBeLessThanOrEqual(3);
  });

  it('of equal values is dark, not an error', async () => {
    const picture = await decode(
      await renderHeatMap({
        values: new Float32Array(4).fill(0.25),
        grid: { width: 2, height: 2 },
        width: 6,
        height: 6,
      }),
    );
    expect(pixel(picture, 3, 3)).toEqual(inferno(0));
  });

  it('refuses what does not fit the grid and what is not finite', async () => {
    const grid = { width: 2, height: 2 };
    await expect(renderHeatMap({ values: new Float32Array(5), grid, width: 4, height: 4 })).rejects.toThrow(
      RangeError,
    );
    const broken = Float32Array.from([0, 1, NaN, 2]);
    await expect(renderHeatMap({ values: broken, grid, width: 4, height: 4 })).rejects.toThrow(RangeError);
  });
});

describe('the overlay', () => {
  const grid = { width: 2, height: 2 };
  const values = Float32Array.from([0, 1, 2, 3]);

  it.each([0, 0.3, 1])('mixes heat map and photo by an opacity of %f', async (opacity) => {
    const image = await quadrants(60, 40).png().toBuffer();
    const picture = await decode(await renderOverlay({ image, values, grid, opacity }));
    expect([picture.width, picture.height]).toEqual([60, 40]);
    const photo = { data: await quadrants(60, 40).raw().toBuffer(), width: 60, height: 40 };
    for (const [x, y, share] of [
      [15, 10, 0],
      [45, 10, 1 / 3],
      [15, 30, 2 / 3],
      [45, 30, 1],
    ] as const) {
      const heat = inferno(share);
      pixel(picture, x, y).forEach((value, channel) => {
        const expected = (1 - opacity) * pixel(photo, x, y)[channel]! + opacity * heat[channel]!;
        expect(Math.abs(value - expected)).toBeLessThanOrEqual(2);
      });
    }
  });

  it('lies on the photo as seen upright', async () => {
    const picture = await decode(await renderOverlay({ image: await exifJpeg(6), values, grid, opacity: 0 }));
    expect([picture.width, picture.height]).toEqual([80, 40]);
    pixel(picture, 10, 10).forEach((value, channel) =>
      expect(Math.abs(value - RED[channel]!)).toBeLessThanOrEqual(3),
    );
    pixel(picture, 70, 30).forEach((value, channel) =>
      expect(Math.abs(value - YELLOW[channel]!)).toBeLessThanOrEqual(3),
    );
  });

  it('of a large photo is scaled down to four megapixels', async () => {
    const image = await quadrants(3000, 2000).png().toBuffer();
    const { width, height } = await sharp(await renderOverlay({ image, values, grid })).metadata();
    expect(width * height).toBeLessThanOrEqual(4_000_000);
    expect(width * height).toBeGreaterThan(3_950_000);
    expect(width / height).toBeCloseTo(1.5, 2);
  });

  it('of a damaged photo fails as the reader does', async () => {
    const error: unknown = await renderOverlay({ image: await truncatedJpeg(), values, grid }).catch(
      (e: unknown) => e,
    );
    expect(error).toMatchObject({ code: 'unprocessable-image' });
  });
});

describe('the strip of heads', () => {
  const grid = { width: 3, height: 2 };
  const heads = [randomValues(6, 1), randomValues(6, 2), randomValues(6, 3)];

  it('shows every head from its own lowest to its own highest value, with a gap between', async () => {
    const strip = await decode(await renderHeadStrip({ heads, grid, width: 30, height: 20 }));
    expect([strip.width, strip.height]).toEqual([3 * 30 + 2 * 4, 20]);
    for (const [index, values] of heads.entries()) {
      const share = shareAt(values, grid, { width: 30, height: 20 });
      for (const [x, y] of [
        [2, 3],
        [15, 3],
        [28, 3],
        [2, 16],
        [15, 16],
        [28, 16],
      ] as const) {
        expect(pixel(strip, index * 34 + x, y)).toEqual(inferno(share(x, y)));
      }
    }
    expect(pixel(strip, 31, 10)).toEqual([255, 255, 255]);
  });

  it('over a photo is the overlays of the heads', async () => {
    const { bytes: image } = await drawScene({ className: 'disc-on-stripes', width: 60, height: 40 });
    const strip = await decode(
      await renderHeadStrip({ heads, grid, image, width: 60, height: 40, opacity: 0.5 }),
    );
    expect([strip.width, strip.height]).toEqual([3 * 60 + 2 * 4, 40]);
    for (const [index, values] of heads.entries()) {
      const alone = await decode(await renderOverlay({ image, values, grid, opacity: 0.5 }));
      for (const [x, y] of [
        [0, 0],
        [59, 0],
        [30, 20],
        [10, 39],
      ] as const) {
        expect(pixel(strip, index * 64 + x, y)).toEqual(pixel(alone, x, y));
      }
    }
  });

  it('of one head is its heat map, and of many stays under four megapixels', async () => {
    const one = await renderHeadStrip({ heads: heads.slice(0, 1), grid, width: 30, height: 20 });
    expect(one.equals(await renderHeatMap({ values: heads[0]!, grid, width: 30, height: 20 }))).toBe(true);
    const many = Array.from({ length: 12 }, () => heads[0]!);
    const { width, height } = await sharp(
      await renderHeadStrip({ heads: many, grid, width: 6000, height: 4000 }),
    ).metadata();
    expect((width - 11 * 4) * height).toBeLessThanOrEqual(4_000_000);
    expect((width - 11 * 4) / 12 / height).toBeCloseTo(1.5, 1);
  });
});
