import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { DinoError } from '#dino/errors.js';
import { createImageReader } from '#dino/vision/image-reader.js';
import * as images from '../../support/drawn-scenes.js';

const reader = createImageReader({ maxPixels: 50_000_000, timeoutSeconds: 30, preprocessing: 'fast' });

async function failure(work: Promise<unknown>): Promise<DinoError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof DinoError)) throw new Error(`expected a DinoError, got ${String(error)}`);
  return error;
}

/** How each way in refuses; every one of them must. */
function refusals(bytes: Uint8Array): Promise<DinoError[]> {
  return Promise.all(
    [
      reader.inspect(bytes),
      reader.forEmbedding(bytes, { resize: 32, crop: 32 }),
      reader.forPatches(bytes, { longerSide: 64, multipleOf: 16 }),
      reader.thumbnail(bytes),
    ].map(failure),
  );
}

/** The same for files with a sound header, which `inspect` takes. */
function decodingRefusals(bytes: Uint8Array): Promise<DinoError[]> {
  return Promise.all(
    [
      reader.forEmbedding(bytes, { resize: 32, crop: 32 }),
      reader.forPatches(bytes, { longerSide: 64, multipleOf: 16 }),
      reader.thumbnail(bytes),
    ].map(failure),
  );
}

describe('what is no image', () => {
  it.each([
    { what: 'an empty file', draw: images.emptyFile, code: 'invalid-request', says: /empty/ },
    { what: 'text', draw: images.textFile, code: 'unsupported-image', says: /JPEG, PNG, WebP, GIF and AVIF/ },
    { what: 'SVG', draw: images.svgFile, code: 'unsupported-image', says: /SVG.*render it to PNG/ },
    { what: 'PDF', draw: images.pdfFile, code: 'unsupported-image', says: /PDF.*PNG/ },
    { what: 'HEIC', draw: images.heicFile, code: 'unsupported-image', says: /HEIC.*convert it to JPEG/ },
    { what: 'a lone byte', draw: () => Buffer.from([0xff]), code: 'unsupported-image', says: /not an image/ },
  ])('$what is refused with advice', async ({ draw, code, says }) => {
    for (const error of await refusals(draw())) {
      expect(error.code).toBe(code);
      expect(error.message).toMatch(says);
    }
  });

  it('TIFF and SVG cannot be decoded in this process even by asking sharp', async () => {
    const tiff = await images.quadrants(16, 16).tiff().toBuffer();
    await expect(sharp(tiff).metadata()).rejects.toThrow(/unsupported/);
    await expect(sharp(images.svgFile()).metadata()).rejects.toThrow(/unsupported/);
    expect((await failure(reader.inspect(tiff))).message).toMatch(/TIFF/);
  });

  it('SVG stays refused behind comments and capitals', async () => {
    const hidden = Buffer.from(`<!-- ${'-'.repeat(100)} -->\n<SVG viewBox="0 0 1 1"></SVG>`);
    expect((await failure(reader.inspect(hidden))).message).toMatch(/SVG/);
  });
});

describe('what is damaged', () => {
  it.each([
    ['a truncated JPEG', images.truncatedJpeg],
    ['a corrupt PNG', images.corruptPng],
  ])('%s is unprocessable', async (_, draw) => {
    for (const error of await decodingRefusals(await draw())) {
      expect(error.code).toBe('unprocessable-image');
      expect(error.message).toMatch(/damaged or cut off/);
    }
  });

  it.each(['png', 'webp', 'gif', 'avif'] as const)('%s cut in half is unprocessable', async (format) => {
    const { rgb, width, height } = await images.drawScene({
      className: 'ring-on-noise',
      width: 96,
      height: 96,
    });
    const whole = await sharp(rgb, { raw: { width, height, channels: 3 } })
      .toFormat(format)
      .toBuffer();
    const half = whole.subarray(0, whole.length / 2);
    const error = await failure(reader.forEmbedding(half, { resize: 32, crop: 32 }));
    expect(error.code).toBe('unprocessable-image');
    expect(error.message).toContain(format.toUpperCase());
  });

  it.each([
    ['JPEG', Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 4])],
    ['PNG', Buffer.from('\x89PNG\r\n\x1a\nnonsense', 'latin1')],
    ['AVIF', Buffer.from('\0\0\0\x14ftypavif\0\0\0\0avif', 'latin1')],
  ])('the first bytes of a %s alone are unprocessable', async (_, bytes) => {
    const codes = (await refusals(bytes)).map((error) => error.code);
    expect(codes).toEqual(Array(4).fill('unprocessable-image'));
  });
});

describe('what is too large', () => {
  it.each([
    ['PNG', images.hugePng],
    ['JPEG', images.hugeJpeg],
  ])('a %s of 30,000 x 30,000 px is refused with the limit in megapixels', async (_, draw) => {
    for (const error of await refusals(await draw())) {
      expect(error.code).toBe('payload-too-large');
      expect(error.message).toMatch(/30000 x 30000 pixels, 900 megapixels; at most 50 are accepted/);
    }
  });

  it('the limit itself is accepted, one row more is not', async () => {
    const narrow = createImageReader({ maxPixels: 100 * 80, timeoutSeconds: 30, preprocessing: 'fast' });
    const fits = await images.quadrants(100, 80).png().toBuffer();
    const exceeds = await images.quadrants(100, 81).png().toBuffer();
    expect(await narrow.inspect(fits)).toMatchObject({ width: 100, height: 80 });
    expect((await narrow.forEmbedding(fits, { resize: 8, crop: 8 })).pixels.width).toBe(8);
    expect((await failure(narrow.inspect(exceeds))).code).toBe('payload-too-large');
  });
});

it('a mistake of ours is not blamed on the image', async () => {
  const png = await images.palettePng();
  await expect(reader.forEmbedding(png, { resize: 16, crop: 32 })).rejects.not.toBeInstanceOf(DinoError);
});
