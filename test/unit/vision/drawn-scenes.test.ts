import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { drawScene, drawScenes, maskIou, SCENE_CLASSES } from '../../support/drawn-scenes.js';

describe('drawn scenes', () => {
  it('are the same for the same class and seed, and others for others', async () => {
    const [scene, again, other] = await Promise.all(
      [4, 4, 5].map((seed) => drawScene({ className: 'ring-on-noise', seed, width: 80, height: 60 })),
    );
    expect(again!.bytes.equals(scene!.bytes)).toBe(true);
    expect(other!.bytes.equals(scene!.bytes)).toBe(false);
  });

  it('hold their whole shape within the picture, and the box around it', async () => {
    for (const { truth, bbox, width, height } of await drawScenes({ perClass: 3, width: 120, height: 80 })) {
      const [x, y, boxWidth, boxHeight] = bbox;
      const inBox = truth.map((_, pixel) => {
        const [column, row] = [pixel % width, Math.floor(pixel / width)];
        return column >= x && column < x + boxWidth && row >= y && row < y + boxHeight ? 1 : 0;
      });
      expect(x + boxWidth).toBeLessThanOrEqual(width);
      expect(y + boxHeight).toBeLessThanOrEqual(height);
      expect(truth.every((inside, pixel) => inside === 0 || inBox[pixel] === 1)).toBe(true);
      expect(maskIou(truth, inBox)).toBeGreaterThan(0.3);
    }
  });

  it('encode what they say they drew', async () => {
    for (const className of SCENE_CLASSES) {
      const { bytes, rgb, width, height } = await drawScene({
        className,
        width: 64,
        height: 48,
        format: 'png',
      });
      const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
      expect([info.width, info.height]).toEqual([width, height]);
      expect(data.equals(Buffer.from(rgb))).toBe(true);
    }
  });
});
