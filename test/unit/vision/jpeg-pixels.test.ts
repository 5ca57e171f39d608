import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { DinoError } from '#dino/errors.js';
import { DECODER_VERSION } from '#dino/vision/decoder-version.js';
import { createImageReader } from '#dino/vision/image-reader.js';
import { readJpegHeader } from '#dino/vision/jpeg-header.js';
import { JPEG_INSTRUCTIONS, readJpegPixels } from '#dino/vision/jpeg-pixels.js';
import * as images from '../../support/drawn-scenes.js';
import { turned } from '../../support/jpeg-segments.js';

const options = { maxPixels: 50_000_000, timeoutSeconds: 30, preprocessing: 'exact' } as const;
const reader = createImageReader(options);

/** Nothing is scaled. */
function wholePlan(width: number, height: number) {
  const size = { width, height };
  return { source: size, target: size, window: { left: 0, top: 0, ...size } };
}

function scene(width: number, height: number): Promise<Buffer> {
  return images
    .drawScene({ className: 'ring-on-noise', seed: 5, width, height, format: 'png' })
    .then(({ bytes }) => Buffer.from(bytes));
}

/** The same numbers every time, below `n`. */
function randomNumbers(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

describe('a JPEG decoded by rows', () => {
  it('has the pixels that sharp decodes', async () => {
    const png = await scene(203, 121);
    for (const jpeg of [
      { quality: 90 },
      { quality: 30, chromaSubsampling: '4:4:4' },
      { progressive: true },
      { mozjpeg: true },
    ]) {
      for (const colourspace of ['srgb', 'b-w']) {
        const bytes = await sharp(png).toColourspace(colourspace).jpeg(jpeg).toBuffer();
        const pixels = await readJpegPixels(bytes, wholePlan(203, 121), options);
        const expected = await sharp(bytes).toColourspace('srgb').raw().toBuffer();
        expect(Buffer.compare(pixels!.data, expected), `${JSON.stringify(jpeg)}, ${colourspace}`).toBe(0);
      }
    }
  });

  it('has the pixels that sharp decodes, whatever the size, the colours that are stored, restarts and the window', async () => {
    const random = randomNumbers(7);
    for (let i = 0; i < 120; i++) {
      const [width, height] = [5 + random(70), 1 + random(70)];
      const raw = Buffer.from(
        Array.from({ length: width * height * 3 }, () => (i % 3 === 0 ? random(256) : random(60))),
      );
      const jpeg = {
        quality: 1 + random(100),
        optimiseCoding: i % 2 === 0,
        chromaSubsampling: i % 4 < 2 ? '4:2:0' : '4:4:4',
      };
      const bytes = await sharp(raw, { raw: { width, height, channels: 3 } })
        .jpeg(jpeg)
        .toBuffer();
      const [left, top] = [random(width), random(height)];
      const window = { left, top, width: 1 + random(width - left), height: 1 + random(height - top) };
      const expected = await sharp(await sharp(bytes).png().toBuffer())
        .extract(window)
        .raw()
        .toBuffer();
      for (const instructions of JPEG_INSTRUCTIONS) {
        const pixels = await readJpegPixels(
          bytes,
          { ...wholePlan(width, height), window },
          { ...options, instructions },
        );
        expect(
          Buffer.compare(pixels!.data, expected),
          `${width} x ${height}, ${JSON.stringify({ jpeg, window })}`,
        ).toBe(0);
      }
    }
  });

  it('owns its pixels, so that they can be handed to another thread', async () => {
    const jpeg = await sharp(await scene(50, 40))
      .jpeg()
      .toBuffer();
    const { pixels } = await reader.forEmbedding(jpeg, { resize: 32, crop: 32 });
    const moved = structuredClone(pixels.data, { transfer: [pixels.data.buffer] });
    expect([moved.length, pixels.data.length]).toEqual([32 * 32 * 3, 0]);
  });

  it('is the same however many are decoded at once', async () => {
    const jpegs = await Promise.all(
      Array.from({ length: 24 }, async (_, i) =>
        sharp(await scene(90 + i, 70))
          .jpeg()
          .toBuffer(),
      ),
    );
    const read = (jpeg: Buffer) => reader.forEmbedding(jpeg, { resize: 64, crop: 56 });
    const alone = [];
    for (const jpeg of jpegs) alone.push((await read(jpeg)).pixels);
    const together = (await Promise.all(jpegs.map(read))).map(({ pixels }) => pixels);
    expect(together).toEqual(alone);
  });

  it('is never whole in memory', async () => {
    const [width, height] = [8000, 6000];
    const jpeg = await sharp({ create: { width, height, channels: 3, background: '#7a5' } })
      .jpeg()
      .toBuffer();
    const before = process.memoryUsage.rss();
    let most = before;
    const watch = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 2);
    const { pixels } = await reader.forEmbedding(jpeg, { resize: 256, crop: 224 });
    clearInterval(watch);
    expect(pixels.data).toHaveLength(224 * 224 * 3);
    expect(most).toBeGreaterThan(before - 1);
    expect(most - before).toBeLessThan(width * height * 3 * 0.6);
  });

  it('changes what cached embeddings are known by', () => {
    expect(DECODER_VERSION).toMatch(/, JPEG pixels 1$/);
  });
});

describe('what is left to sharp', () => {
  it('is whatever needs a conversion of colours, is damaged, or is no JPEG', async () => {
    const png = await scene(64, 48);
    const jpeg = await sharp(png).jpeg({ quality: 95 }).toBuffer();
    const plan = wholePlan(64, 48);
    expect(await readJpegPixels(jpeg, plan, options)).toBeDefined();
    const cut = jpeg.subarray(0, jpeg.length - 40);
    const damaged = Buffer.from(jpeg).fill(0xff, jpeg.length - 200, jpeg.length - 100);
    const profiled = await sharp(png).withIccProfile('p3').jpeg().toBuffer();
    for (const bytes of [png, cut, damaged, profiled, await images.cmykJpeg()]) {
      expect(await readJpegPixels(bytes, plan, options)).toBeUndefined();
    }
    expect(await readJpegPixels(jpeg, wholePlan(48, 64), options)).toBeUndefined();
  });

  it('is a strip that would be enlarged beyond what the add-on counts', async () => {
    const strip = sharp({ create: { width: 65_000, height: 1, channels: 3, background: '#884422' } });
    const { pixels } = await reader.forEmbedding(await strip.jpeg().toBuffer(), { resize: 592, crop: 518 });
    expect([pixels.width, pixels.height, ...pixels.data.subarray(0, 3)]).toEqual([518, 518, 136, 67, 34]);
  });

  it('is read by it: a profile gives the colours that it stands for', async () => {
    const wide = await images.quadrants(64, 48).withIccProfile('p3').jpeg({ quality: 95 }).toBuffer();
    const { pixels } = await reader.whole(wide, { maxPixels: 10_000 });
    images.RED.forEach((value, channel) =>
      expect(Math.abs(pixels.data[(10 * 64 + 10) * 3 + channel]! - value)).toBeLessThan(6),
    );
  });

  it('is refused by it: a portrait that lacks its last rows, though they are not in the crop', async () => {
    const jpeg = await sharp(await scene(60, 200))
      .jpeg({ quality: 95 })
      .toBuffer();
    const cut = jpeg.subarray(0, jpeg.length - 30);
    const plan = { ...wholePlan(60, 200), window: { left: 0, top: 0, width: 60, height: 60 } };
    expect(await readJpegPixels(jpeg, plan, options)).toBeDefined();
    expect(await readJpegPixels(cut, plan, options)).toBeUndefined();
  });
});

it('an image that takes too long is given up, and the answer says so', async () => {
  const jpeg = await sharp(await scene(300, 200))
    .jpeg()
    .toBuffer();
  const hasty = createImageReader({ ...options, timeoutSeconds: 0 });
  const work = hasty.forEmbedding(jpeg, { resize: 64, crop: 64 });
  await expect(work).rejects.toMatchObject({
    code: 'unprocessable-image',
    message: expect.stringContaining('took longer than 0 s to decode'),
  });
});

it('damage of any kind ends in the pixels that sharp reads, or in a refusal', async () => {
  const random = randomNumbers(11);
  const png = await scene(90, 70);
  const sources = await Promise.all(
    [{ quality: 80 }, { progressive: true }, { chromaSubsampling: '4:4:4' }].map(async (jpeg) =>
      turned(await sharp(png).jpeg(jpeg).toBuffer(), 6),
    ),
  );
  const counts = { read: 0, refused: 0 };
  for (let i = 0; i < 400; i++) {
    let bytes = Buffer.from(sources[random(sources.length)]!);
    if (i % 4 === 0) bytes = bytes.subarray(0, random(bytes.length));
    // The lower half of the kinds hits the header.
    else for (let n = random(3); n >= 0; n--) bytes[random(i % 4 === 1 ? 700 : bytes.length)] = random(256);
    const sound = () =>
      sharp(bytes, { autoOrient: true, failOn: 'warning' }).toColourspace('srgb').raw().toBuffer();
    try {
      const { pixels } = await reader.whole(bytes, { maxPixels: 1_000_000 });
      if (pixels.width * pixels.height < 1_000_000 / 2)
        expect(Buffer.compare(pixels.data, await sound())).toBe(0);
      counts.read += 1;
    } catch (error) {
      if (!(error instanceof DinoError)) throw error;
      counts.refused += 1;
    }
  }
  expect(counts.read).toBeGreaterThan(50);
  expect(counts.refused).toBeGreaterThan(50);
});

describe('the add-on', () => {
  interface Addon {
    decodeJpeg(...args: unknown[]): Promise<string>;
  }
  const addon = createRequire(import.meta.url)('../../../dist/vision/jpeg-decoder.node') as Addon;
  const plan = {
    ...{ width: 64, height: 48, orientation: 1, shrink: 1, targetWidth: 32, targetHeight: 24 },
    ...{ left: 0, top: 0, windowWidth: 32, windowHeight: 24, timeoutMs: 1000 },
  };
  const pixels = new Uint8Array(32 * 24 * 3);
  const jpeg = new Uint8Array(10);

  it('takes a plan that is possible, and refuses what is no JPEG', async () => {
    expect(await addon.decodeJpeg(jpeg, pixels, plan, 'baseline')).toBe('refused');
    expect(await addon.decodeJpeg(new Uint8Array(0), pixels, plan, 'baseline')).toBe('refused');
  });

  it.each([
    ['decoded', '420.jpg'],
    ['decoded', '422.jpg'],
    ['decoded', '444.jpg'],
    ['decoded', 'grey.jpg'],
    ['decoded', 'restarts.jpg'],
    ['decoded', 'exif6.jpg'],
    ['decoded by libvips', 'progressive.jpg'],
    ['decoded by libvips', 'rgb.jpg'],
  ])('says %s of %s', async (outcome, file) => {
    const bytes = readFileSync(new URL(`../../golden/pixels/${file}`, import.meta.url));
    const { size, orientation } = readJpegHeader(bytes)!;
    const whole = { ...size, orientation, shrink: 1, targetWidth: size.width, targetHeight: size.height };
    const room = new Uint8Array(size.width * size.height * 3);
    const window = { left: 0, top: 0, windowWidth: size.width, windowHeight: size.height, timeoutMs: 1000 };
    expect(await addon.decodeJpeg(bytes, room, { ...whole, ...window }, 'baseline')).toBe(outcome);
  });

  it.each([
    [{ width: 0 }, /width must be an integer of 1 to 65535/],
    [{ height: 65536 }, /height must be/],
    [{ height: undefined }, /height must be/],
    [{ orientation: 9 }, /orientation must be/],
    [{ shrink: 3 }, /shrink must be 1, 2, 4 or 8/],
    [{ height: 7, shrink: 8 }, /leave a pixel/],
    [{ targetWidth: 1.5 }, /targetWidth must be/],
    [{ left: 1 }, /windowWidth must be an integer of 1 to 31/],
    [{ top: -1 }, /top must be/],
    [{ windowHeight: 25 }, /windowHeight must be/],
    [{ windowHeight: 23 }, /three bytes for each pixel/],
    [{ timeoutMs: NaN }, /timeoutMs must be/],
  ])('refuses a plan with %j', (part, message) => {
    expect(() => addon.decodeJpeg(jpeg, pixels, { ...plan, ...part }, 'baseline')).toThrow(message);
  });

  it('refuses other things than bytes, and instructions that are not there', () => {
    expect(() => addon.decodeJpeg('jpeg', pixels, plan, 'baseline')).toThrow(/jpeg must be a Uint8Array/);
    expect(() => addon.decodeJpeg(jpeg, new Float32Array(3), plan, 'baseline')).toThrow(/pixels must be/);
    expect(() => addon.decodeJpeg(jpeg, pixels, undefined, 'baseline')).toThrow(/plan must be an object/);
    expect(() => addon.decodeJpeg(jpeg, pixels, plan, 'mmx')).toThrow(/instructions must be/);
  });
});
