import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { expandMask } from '#dino/vision/grid-cover.js';
import { renderCutout, renderMask, renderMaskOverlay } from '#dino/vision/render-mask.js';
import { createRandom, drawScene, exifJpeg, quadrants, RED } from '../../support/drawn-scenes.js';

function randomCells(length: number, seed: number): Uint8Array {
  const random = createRandom(seed);
  return Uint8Array.from({ length }, () => (random() < 0.5 ? 1 : 0));
}

describe('the mask', () => {
  it.each([
    { grid: { width: 6, height: 4 }, width: 75, height: 41 },
    { grid: { width: 30, height: 20 }, width: 333, height: 500 },
    { grid: { width: 8, height: 8 }, width: 3, height: 2 },
    { grid: { width: 1, height: 1 }, width: 1, height: 1 },
    { grid: { width: 61, height: 43 }, width: 61, height: 43 },
  ])(
    'of $grid at $width x $height is grey, 255 on the object and 0 elsewhere',
    async ({ grid, width, height }) => {
      const cells = randomCells(grid.width * grid.height, 9);
      const png = await renderMask({ cells, grid, width, height });
      expect(await sharp(png).metadata()).toMatchObject({
        format: 'png',
        width,
        height,
        channels: 1,
        depth: 'uchar',
      });
      const pixels = await sharp(png).extractChannel(0).raw().toBuffer();
      expect([...pixels]).toEqual(
        [...expandMask({ cells, grid, width, height })].map((inside) => inside * 255),
      );
    },
  );

  it('refuses cells that are not those of the grid', async () => {
    const grid = { width: 2, height: 2 };
    await expect(renderMask({ cells: new Uint8Array(3), grid, width: 4, height: 4 })).rejects.toThrow(
      RangeError,
    );
  });
});

describe('the mask on its photo', () => {
  const grid = { width: 6, height: 4 };
  // A block of 2 x 2 patches, away from the edges.
  const cells = Uint8Array.from({ length: 24 }, (_, patch) => {
    const [row, column] = [Math.floor(patch / 6), patch % 6];
    return row >= 1 && row <= 2 && column >= 2 && column <= 3 ? 1 : 0;
  });

  async function overlay(width: number, height: number) {
    const image = await sharp({ create: { width, height, channels: 3, background: '#808080' } })
      .png()
      .toBuffer();
    const png = await renderMaskOverlay({ image, cells, grid });
    const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([width, height]);
    return (x: number, y: number) => [...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
  }

  it('dims the ground, tints the object and outlines it within its patches', async () => {
    // 50 px a patch, so the object is x 100 to 199 and y 50 to 149; at 200 px the outline is 1 px thick.
    const at = await overlay(300, 200);
    const ground = at(10, 10);
    const object = at(150, 100);
    const outline = [255, 196, 0];
    for (const value of ground) expect(value).toBeLessThan(70);
    expect(object[0]! - ground[0]!).toBeGreaterThan(60);
    expect(object[0]!).toBeGreaterThan(object[2]!);
    for (const [x, y] of [
      [100, 100],
      [199, 100],
      [150, 50],
      [150, 149],
      [100, 50],
      [199, 149],
    ] as const) {
      expect(at(x, y), `outline at ${x}, ${y}`).toEqual(outline);
    }
    for (const [x, y] of [
      [99, 100],
      [200, 100],
      [150, 49],
      [150, 150],
    ] as const)
      expect(at(x, y)).toEqual(ground);
    // Where two patches of the object meet there is no line.
    for (const [x, y] of [
      [149, 75],
      [150, 75],
      [125, 99],
      [125, 100],
    ] as const)
      expect(at(x, y)).toEqual(object);
  });

  it('keeps the object where patches are smaller than the outline', async () => {
    const at = await overlay(12, 8);
    const ground = at(0, 0);
    expect(at(3, 2)).toEqual(ground);
    expect(at(4, 2)).not.toEqual(ground);
    expect(at(7, 5)).not.toEqual(ground);
    expect(at(8, 5)).toEqual(ground);
  });

  it('outlines single pixels as the rule says, at the edge of the picture too', async () => {
    // At 300 px the outline is 2 px thick.
    const [width, height, thickness] = [310, 300, 2];
    const random = createRandom(4);
    const blobs = Array.from({ length: 30 }, () => [random() * width, random() * height, 4 + 30 * random()]);
    const pixels = Uint8Array.from({ length: width * height }, (_, at) => {
      const [x, y] = [at % width, Math.floor(at / width)];
      return blobs.some(([left, top, side]) => x > left! && x < left! + side! && y > top! && y < top! + side!)
        ? 1
        : 0;
    });
    const image = await sharp({ create: { width, height, channels: 3, background: '#808080' } })
      .png()
      .toBuffer();
    const png = await renderMaskOverlay({ image, cells: pixels, grid: { width, height } });
    const data = await sharp(png).removeAlpha().raw().toBuffer();
    const isInside = (x: number, y: number) =>
      pixels[Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x))] === 1;
    const around = Array.from({ length: 2 * thickness + 1 }, (_, at) => at - thickness);
    let wrong = 0;
    pixels.forEach((inside, at) => {
      const [x, y] = [at % width, Math.floor(at / width)];
      const isOutline = inside === 1 && around.some((dy) => around.some((dx) => !isInside(x + dx, y + dy)));
      if (data[3 * at]! > 250 !== isOutline) wrong++;
    });
    expect(wrong).toBe(0);
  });

  it('draws no line along the edge of the picture', async () => {
    const image = await sharp({ create: { width: 60, height: 40, channels: 3, background: '#808080' } })
      .png()
      .toBuffer();
    const png = await renderMaskOverlay({ image, cells: new Uint8Array(24).fill(1), grid });
    const { channels } = await sharp(png).removeAlpha().stats();
    for (const channel of channels) expect(channel.max - channel.min).toBe(0);
  });

  it('is cut out with a transparent ground, the object as in the photo', async () => {
    const { rgb, bytes } = await drawScene({
      className: 'cross-on-dots',
      width: 90,
      height: 60,
      format: 'png',
    });
    const png = await renderCutout({ image: bytes, cells, grid });
    const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height, info.channels]).toEqual([90, 60, 4]);
    expandMask({ cells, grid, width: 90, height: 60 }).forEach((inside, pixel) => {
      expect(data[pixel * 4 + 3]).toBe(inside * 255);
      if (inside === 1)
        expect([...data.subarray(pixel * 4, pixel * 4 + 3)]).toEqual([
          ...rgb.subarray(pixel * 3, pixel * 3 + 3),
        ]);
    });
  });

  it('follows the photo as seen upright, and shrinks with it', async () => {
    const all = new Uint8Array(24).fill(1);
    const turned = await sharp(await renderCutout({ image: await exifJpeg(8), cells: all, grid }))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([turned.info.width, turned.info.height]).toEqual([80, 40]);
    [...turned.data.subarray(0, 3)].forEach((value, channel) =>
      expect(Math.abs(value - RED[channel]!)).toBeLessThanOrEqual(3),
    );
    const large = await quadrants(2600, 2000).jpeg().toBuffer();
    for (const render of [renderMaskOverlay, renderCutout]) {
      const { width, height } = await sharp(await render({ image: large, cells, grid })).metadata();
      expect(width * height).toBeLessThanOrEqual(4_000_000);
      expect(width / height).toBeCloseTo(1.3, 2);
    }
  });
});
