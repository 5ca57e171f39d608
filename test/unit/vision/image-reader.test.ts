import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { createImageReader } from '#dino/vision/image-reader.js';
import type { Pixels } from '#dino/vision/pixels.js';
import * as images from '../../support/drawn-scenes.js';

const { RED, GREEN, BLUE, YELLOW } = images;
const WHITE = [255, 255, 255];
const limits = { maxPixels: 50_000_000, timeoutSeconds: 30 };
const reader = createImageReader({ ...limits, preprocessing: 'exact' });

/** The colour in the middle of each quadrant: top left, top right, bottom left, bottom right. */
function corners({ data, width, height }: Pixels): number[][] {
  return [0.25, 0.75].flatMap((down) =>
    [0.25, 0.75].map((across) => {
      const at = (Math.floor(height * down) * width + Math.floor(width * across)) * 3;
      return [...data.subarray(at, at + 3)];
    }),
  );
}

function expectColours(actual: number[][], expected: readonly (readonly number[])[], tolerance = 3): void {
  actual.forEach((colour, index) =>
    colour.forEach((value, channel) => {
      const off = Math.abs(value - expected[index]![channel]!);
      expect(off, `${JSON.stringify(actual)} against ${JSON.stringify(expected)}`).toBeLessThanOrEqual(
        tolerance,
      );
    }),
  );
}

async function cornersOf(bytes: Uint8Array): Promise<number[][]> {
  return corners((await reader.forPatches(bytes, { longerSide: 64, multipleOf: 16 })).pixels);
}

describe('the embedding crop', () => {
  interface Reference {
    cases: { width: number; height: number; resize: number; crop: number; png: string; rgb: string }[];
  }
  const { cases } = JSON.parse(
    readFileSync(new URL('pillow-reference.json', import.meta.url), 'utf8'),
  ) as Reference;

  it.each(cases)(
    'is what Pillow and torchvision make of $width x $height at $resize/$crop',
    async (reference) => {
      const { pixels } = await reader.forEmbedding(Buffer.from(reference.png, 'base64'), reference);
      const expected = Buffer.from(reference.rgb, 'base64');
      expect([pixels.width, pixels.height, pixels.data.length]).toEqual([
        reference.crop,
        reference.crop,
        expected.length,
      ]);
      const differences = expected.map((value, index) => Math.abs(value - pixels.data[index]!));
      expect(Math.max(...differences)).toBeLessThanOrEqual(14);
      expect(differences.reduce((sum, value) => sum + value, 0) / differences.length).toBeLessThan(0.5);
    },
  );

  it('is the middle of a picture, cut at the shorter side', async () => {
    const rgb = Buffer.alloc(90 * 30 * 3);
    for (let pixel = 0; pixel < 90 * 30; pixel++)
      rgb.set([RED, GREEN, BLUE][Math.floor((pixel % 90) / 30)]!, pixel * 3);
    const png = await sharp(rgb, { raw: { width: 90, height: 30, channels: 3 } })
      .png()
      .toBuffer();
    const { pixels } = await reader.forEmbedding(png, { resize: 30, crop: 28 });
    expectColours(corners(pixels), [GREEN, GREEN, GREEN, GREEN], 0);
  });

  it.each([
    [1, 4000],
    [4000, 1],
    [4000, 3],
  ])('of an extreme strip of %i x %i px is a square of its colour', async (width, height) => {
    const strip = await sharp({ create: { width, height, channels: 3, background: 'rgb(200,30,40)' } })
      .png()
      .toBuffer();
    const { pixels } = await reader.forEmbedding(strip, { resize: 256, crop: 224 });
    expect([pixels.width, pixels.height]).toEqual([224, 224]);
    expect(new Set(pixels.data)).toEqual(new Set(RED));
  });

  it('owns its memory, so that it can be handed to another thread', async () => {
    const { pixels } = await reader.forEmbedding(await images.palettePng(), { resize: 32, crop: 32 });
    expect(pixels.data.byteOffset).toBe(0);
    expect(pixels.data.buffer.byteLength).toBe(32 * 32 * 3);
    const moved = structuredClone(pixels.data, { transfer: [pixels.data.buffer] });
    expect([moved.length, pixels.data.length]).toEqual([32 * 32 * 3, 0]);
  });
});

describe('the picture for patches', () => {
  it.each([
    // [width, height, longer side, multiple] -> [width, height]
    { from: [500, 333, 480, 16], to: [480, 320] },
    { from: [333, 500, 480, 16], to: [320, 480] },
    { from: [400, 300, 480, 16], to: [480, 368] },
    { from: [300, 300, 224, 14], to: [224, 224] },
    { from: [100, 100, 100, 16], to: [96, 96] },
    { from: [1000, 10, 480, 16], to: [480, 16] },
    { from: [1, 3000, 480, 8], to: [8, 480] },
    { from: [20, 10, 4, 16], to: [16, 16] },
  ])('of $from is $to', async ({ from, to }) => {
    const [width, height, longerSide, multipleOf] = from as [number, number, number, number];
    const png = await images.quadrants(width, height).png().toBuffer();
    const { pixels, info } = await reader.forPatches(png, { longerSide, multipleOf });
    expect([pixels.width, pixels.height]).toEqual(to);
    expect(pixels.data.length).toBe(to[0]! * to[1]! * 3);
    expect([info.width, info.height]).toEqual([width, height]);
  });

  it('covers the whole photo, shrunk or enlarged', async () => {
    for (const side of [40, 640]) {
      const png = await images
        .quadrants(side, side / 2)
        .png()
        .toBuffer();
      const { pixels } = await reader.forPatches(png, { longerSide: 160, multipleOf: 16 });
      expectColours(corners(pixels), [RED, GREEN, BLUE, YELLOW], 0);
      const last = pixels.data.length - 3;
      const ends = [0, (pixels.width - 1) * 3, last - (pixels.width - 1) * 3, last];
      expectColours(
        ends.map((at) => [...pixels.data.subarray(at, at + 3)]),
        [RED, GREEN, BLUE, YELLOW],
        0,
      );
    }
  });

  it('keeps the halves apart exactly in the middle when it enlarges', async () => {
    const png = await images.quadrants(32, 32).png().toBuffer();
    const { pixels } = await reader.forPatches(png, { longerSide: 160, multipleOf: 16 });
    // Point symmetry of the red channel along a row: what is missing to the left of the middle is there to its right.
    const row = Array.from({ length: 160 }, (_, x) => pixels.data[(20 * 160 + x) * 3]!);
    row.forEach((value, x) =>
      expect(Math.abs(value + row[159 - x]! - (RED[0] + GREEN[0]))).toBeLessThanOrEqual(1),
    );
  });
});

describe('formats and their rarities', () => {
  it.each(['jpeg', 'png', 'webp', 'gif', 'avif'] as const)('reads %s by its content', async (format) => {
    const bytes = await images.quadrants(64, 48).toFormat(format, { quality: 95 }).toBuffer();
    expect(await reader.inspect(bytes)).toEqual({ mediaType: `image/${format}`, width: 64, height: 48 });
    expectColours(await cornersOf(bytes), [RED, GREEN, BLUE, YELLOW], 8);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8] as const)('shows EXIF orientation %i upright', async (orientation) => {
    const bytes = await images.exifJpeg(orientation);
    expect(await reader.inspect(bytes)).toEqual({ mediaType: 'image/jpeg', width: 80, height: 40 });
    for (const longerSide of [80, 64, 160]) {
      const { pixels } = await reader.forPatches(bytes, { longerSide, multipleOf: 8 });
      expect([pixels.width, pixels.height]).toEqual([longerSide, longerSide / 2]);
      expectColours(corners(pixels), [RED, GREEN, BLUE, YELLOW]);
    }
    for (const resize of [40, 20, 90]) {
      const { pixels } = await reader.forEmbedding(bytes, { resize, crop: resize });
      expectColours(corners(pixels), [RED, GREEN, BLUE, YELLOW]);
    }
  });

  it('reads the first frame of an animated GIF', async () => {
    const gif = await images.animatedGif();
    expect((await sharp(gif).metadata()).pages).toBe(3);
    expect(await reader.inspect(gif)).toEqual({ mediaType: 'image/gif', width: 40, height: 30 });
    expectColours(await cornersOf(gif), [RED, RED, RED, RED]);
  });

  it('converts CMYK to sRGB', async () => {
    const jpeg = await images.cmykJpeg();
    expect((await sharp(jpeg).metadata()).space).toBe('cmyk');
    const tone = images.CMYK_TONE;
    expectColours(await cornersOf(jpeg), [tone, tone, tone, tone], 12);
  });

  it('brings 16 bits down to 8', async () => {
    const png = await images.sixteenBitPng();
    expect((await sharp(png).metadata()).depth).toBe('ushort');
    expectColours(await cornersOf(png), [RED, BLUE, RED, BLUE], 1);
  });

  it.each([
    ['8 bits', images.greyAlphaPng],
    ['16 bits', images.sixteenBitGreyAlphaPng],
  ])('lays transparent grey of %s on white', async (_, draw) => {
    const png = await draw();
    expect((await sharp(png).metadata()).channels).toBe(2);
    expectColours(await cornersOf(png), [[80, 80, 80], WHITE, [80, 80, 80], WHITE], 1);
  });

  it('looks up the colours of a palette', async () => {
    const png = await images.palettePng();
    expect((await sharp(png).metadata()).isPalette).toBe(true);
    expectColours(await cornersOf(png), [RED, GREEN, BLUE, YELLOW], 0);
  });

  it('converts colours by the profile in the file', async () => {
    const wide = await images.quadrants(64, 48).withIccProfile('p3').png().toBuffer();
    const stored = await sharp(wide, { ignoreIcc: true }).raw().toBuffer();
    expect([...stored.subarray(0, 3)]).not.toEqual([...RED]);
    expectColours(await cornersOf(wide), [RED, GREEN, BLUE, YELLOW], 4);
  });

  it('enlarges a single pixel to whatever is asked for', async () => {
    const png = await images.onePixelPng();
    expect(await reader.inspect(png)).toEqual({ mediaType: 'image/png', width: 1, height: 1 });
    expect(new Set((await reader.forPatches(png, { longerSide: 64, multipleOf: 16 })).pixels.data)).toEqual(
      new Set(RED),
    );
    const { pixels } = await reader.forEmbedding(png, { resize: 40, crop: 32 });
    expect(pixels.data.length).toBe(32 * 32 * 3);
    expect(new Set(pixels.data)).toEqual(new Set(RED));
  });
});

describe('the whole image', () => {
  it('has the pixels of the file, upright', async () => {
    const { rgb, bytes } = await images.drawScene({
      className: 'ring-on-noise',
      width: 61,
      height: 47,
      format: 'png',
    });
    const { pixels, info } = await reader.whole(bytes, { maxPixels: 10_000 });
    expect([pixels.width, pixels.height, info.width, info.height]).toEqual([61, 47, 61, 47]);
    expect(Buffer.compare(pixels.data, rgb)).toBe(0);
    const turned = await reader.whole(await images.exifJpeg(6), { maxPixels: 10_000 });
    expect([turned.pixels.width, turned.pixels.height]).toEqual([80, 40]);
    expectColours(corners(turned.pixels), [RED, GREEN, BLUE, YELLOW], 6);
  });

  it('is scaled down in proportion to the pixels allowed', async () => {
    const { bytes } = await images.drawScene({ className: 'ring-on-noise', width: 200, height: 100 });
    const { pixels, info } = await reader.whole(bytes, { maxPixels: 5000 });
    expect([pixels.width, pixels.height, info.width, info.height]).toEqual([100, 50, 200, 100]);
    expect(pixels.data).toHaveLength(15_000);
  });
});

describe('the thumbnail', () => {
  it('is an upright WebP of at most 256 px', async () => {
    const large = await sharp(await images.exifJpeg(6))
      .resize(400, 800, { fit: 'fill' })
      .keepMetadata()
      .jpeg()
      .toBuffer();
    expect(await reader.inspect(large)).toMatchObject({ width: 800, height: 400 });
    const webp = await reader.thumbnail(large);
    expect(await sharp(webp).metadata()).toMatchObject({ format: 'webp', width: 256, height: 128 });
    expectColours(await cornersOf(webp), [RED, GREEN, BLUE, YELLOW], 8);
  });

  it('is never larger than the image', async () => {
    const webp = await reader.thumbnail(await images.exifJpeg(1));
    expect(await sharp(webp).metadata()).toMatchObject({ width: 80, height: 40 });
  });

  it('keeps transparency and drops animation', async () => {
    const { data, info } = await sharp(await reader.thumbnail(await images.greyAlphaPng()))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect(info.channels).toBe(4);
    expect([data[3], data[63 * 4 + 3]]).toEqual([255, 0]);
    expect((await sharp(await reader.thumbnail(await images.animatedGif())).metadata()).pages ?? 1).toBe(1);
  });
});
