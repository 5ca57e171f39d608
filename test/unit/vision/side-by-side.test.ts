import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { renderAgreement } from '#dino/vision/render-agreement.js';
import { renderPairs } from '#dino/vision/render-pairs.js';
import { drawScene } from '../../support/drawn-scenes.js';

function plain(width: number, height: number, background: string): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background } })
    .png()
    .toBuffer();
}

async function read(png: Buffer) {
  const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const at = (x: number, y: number) => [...data.subarray(3 * (y * info.width + x)).subarray(0, 3)];
  return { width: info.width, height: info.height, at };
}

describe('pictures of two photos', () => {
  it('show both side by side, at 720 px on the longer side, small ones enlarged', async () => {
    const images = [await plain(20, 10, '#ff0000'), await plain(300, 1200, '#0000ff')] as const;
    const { width, height, at } = await read(await renderPairs({ images, pairs: [] }));
    expect([width, height]).toEqual([720 + 12 + 180, 720]);
    expect(at(360, 360)).toEqual([255, 0, 0]);
    expect(at(360, 100)).toEqual([255, 255, 255]);
    expect(at(725, 360)).toEqual([255, 255, 255]);
    expect(at(800, 10)).toEqual([0, 0, 255]);
  });

  it('draw a dot at each end of a pair, and a line that joins them', async () => {
    const images = [await plain(72, 72, '#808080'), await plain(72, 72, '#808080')] as const;
    const pairs = [{ first: { x: 10, y: 20 }, second: { x: 60, y: 20 } }];
    const { at } = await read(await renderPairs({ images, pairs }));
    const dot = at(100, 200);
    expect(dot).not.toEqual([128, 128, 128]);
    expect(at(732 + 600, 200)).toEqual(dot);
    expect(at(500, 199)).not.toEqual([128, 128, 128]);
    expect(at(500, 220)).toEqual([128, 128, 128]);
  });

  it('keep a strip and a photo that lies on its side in their shapes', async () => {
    const strip = await plain(2000, 20, '#00ff00');
    const turned = await sharp(await plain(100, 50, '#0000ff'))
      .jpeg()
      .withMetadata({ orientation: 6 })
      .toBuffer();
    const { width, height } = await read(await renderPairs({ images: [strip, turned], pairs: [] }));
    expect([width, height]).toEqual([720 + 12 + 360, 720]);
  });

  it('lay heat maps over both on one scale', async () => {
    const scene = await drawScene({ className: 'ring-on-noise', width: 64, height: 64 });
    const grid = { height: 2, width: 2 };
    const png = await renderAgreement({
      maps: [
        { image: scene.bytes, grid, values: Float32Array.from([0, 0.2, 0.4, 0.5]) },
        { image: scene.bytes, grid, values: Float32Array.from([0.5, 0.6, 0.7, 1]) },
      ],
      opacity: 1,
    });
    const { width, at } = await read(png);
    expect(width).toBe(1452);
    // Inferno's ends, dark and bright, are those of both together.
    expect(at(10, 10)).toEqual([0, 0, 4]);
    expect(at(1440, 710)).toEqual([252, 255, 164]);
    expect(at(700, 700)).toEqual(at(742, 10));
  });
});
