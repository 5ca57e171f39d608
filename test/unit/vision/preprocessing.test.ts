import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { createImageReader } from '#dino/vision/image-reader.js';
import type { Pixels } from '#dino/vision/pixels.js';
import { drawScene } from '../../support/drawn-scenes.js';

const limits = { maxPixels: 50_000_000, timeoutSeconds: 30 };
const exact = createImageReader({ ...limits, preprocessing: 'exact' });
const fast = createImageReader({ ...limits, preprocessing: 'fast' });
const EMBEDDING = { resize: 128, crop: 112 };
const PATCHES = { longerSide: 256, multipleOf: 16 };

/** Mean difference of a channel, of 255. */
function difference(one: Pixels, other: Pixels): number {
  expect([one.width, one.height]).toEqual([other.width, other.height]);
  expect(one.data).toHaveLength(other.data.length);
  return (
    one.data.reduce((sum, value, index) => sum + Math.abs(value - other.data[index]!), 0) / one.data.length
  );
}

async function bothWays(bytes: Uint8Array): Promise<{ embedding: number; patches: number }> {
  const crops = await Promise.all([exact, fast].map((reader) => reader.forEmbedding(bytes, EMBEDDING)));
  const wholes = await Promise.all([exact, fast].map((reader) => reader.forPatches(bytes, PATCHES)));
  return {
    embedding: difference(crops[0]!.pixels, crops[1]!.pixels),
    patches: difference(wholes[0]!.pixels, wholes[1]!.pixels),
  };
}

describe('fast preprocessing', () => {
  let large: Uint8Array;
  beforeAll(async () => {
    large = (await drawScene({ className: 'ring-on-noise', seed: 3, width: 1803, height: 1201 })).bytes;
  });

  it('makes nearly the same pixels of a large JPEG, whichever way it is turned', async () => {
    for (let orientation = 1; orientation <= 8; orientation++) {
      const turned = await sharp(large).withMetadata({ orientation }).jpeg({ quality: 95 }).toBuffer();
      const { embedding, patches } = await bothWays(turned);
      expect(embedding, `orientation ${orientation}`).toBeLessThan(2);
      expect(patches, `orientation ${orientation}`).toBeLessThan(2);
    }
  });

  it('changes nothing below four times the size, nor for other formats', async () => {
    const pictures = [
      await sharp(large).resize(510, 340).jpeg().toBuffer(),
      await sharp(large).resize(100, 60).jpeg().toBuffer(),
      await sharp(large).png().toBuffer(),
      await sharp(large).webp().toBuffer(),
    ];
    for (const picture of pictures) expect(await bothWays(picture)).toEqual({ embedding: 0, patches: 0 });
  });

  it('refuses a large JPEG that is cut off', async () => {
    const cut = large.subarray(0, Math.floor(large.length * 0.7));
    await expect(fast.forEmbedding(cut, EMBEDDING)).rejects.toMatchObject({ code: 'unprocessable-image' });
  });
});
