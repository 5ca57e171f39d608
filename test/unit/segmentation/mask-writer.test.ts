import { afterAll, describe, expect, it } from 'vitest';
import { MaskWriter } from '#dino/segmentation/mask-writer.js';
import { outlineOf } from '#dino/segmentation/outline.js';
import { maskArea, maskBox } from '#dino/segmentation/pixel-mask.js';
import { encodeRle } from '#dino/segmentation/rle.js';
import { paintMask } from '#dino/vision/mask-paint.js';

const writer = new MaskWriter();
afterAll(() => writer.close());

/** An ellipse with holes, of as many cells, on a picture. */
function ellipse(cells: number, width: number, height: number) {
  const mask = new Uint8Array(cells * cells);
  for (let y = 0; y < cells; y++) {
    for (let x = 0; x < cells; x++) {
      const isInside = (x / cells - 0.5) ** 2 + (y / cells - 0.4) ** 2 < 0.1;
      mask[y * cells + x] = isInside && (x * 7 + y * 3) % 41 > 0 ? 1 : 0;
    }
  }
  return { cells: mask, grid: { width: cells, height: cells }, width, height };
}

describe('MaskWriter', () => {
  it.each([
    ['of patches, where it is', ellipse(20, 300, 200)],
    ['of pixels, in a worker', ellipse(400, 300, 500)],
  ])('writes a mask %s as the functions do', async (_, mask) => {
    expect(await writer.measures(mask)).toEqual({ area: maskArea(mask), bbox: maskBox(mask) });
    expect(await writer.runLengths(mask)).toEqual(encodeRle(mask));
    expect(await writer.outline(mask)).toEqual(outlineOf(mask));
    for (const picture of ['mask', 'overlay', 'cutout'] as const) {
      const [painted, expected] = [await writer.paint(mask, picture), await paintMask(mask, picture)];
      expect(Buffer.compare(painted, expected)).toBe(0);
    }
  });

  it('leaves the mask to its owner, and the event loop to others', async () => {
    const mask = ellipse(1000, 1000, 1000);
    let turns = 0;
    let isDone = false;
    const count = () => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    await Promise.all([writer.outline(mask), writer.runLengths(mask), writer.paint(mask, 'mask')]);
    isDone = true;
    // Here each would be a single turn.
    expect(turns).toBeGreaterThan(100);
    expect(mask.cells).toHaveLength(1_000_000);
  });

  it('finishes what waits before it closes', async () => {
    const own = new MaskWriter();
    const mask = ellipse(300, 300, 300);
    const waiting = [own.runLengths(mask), own.measures(mask), own.outline(mask)];
    await own.close();
    expect((await Promise.allSettled(waiting)).map(({ status }) => status)).toEqual(
      Array(3).fill('fulfilled'),
    );
  });
});
