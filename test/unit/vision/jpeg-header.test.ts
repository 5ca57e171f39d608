import { readdirSync, readFileSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { readJpegHeader } from '#dino/vision/jpeg-header.js';
import * as images from '../../support/drawn-scenes.js';
import { exifOf, turned, withSegment } from '../../support/jpeg-segments.js';

const FOLDER = new URL('../../golden/pixels/', import.meta.url);

/** Where a segment with this marker begins. */
function segment(jpeg: Buffer, marker: number): number {
  const at = jpeg.indexOf(Buffer.from([0xff, marker]));
  expect(at).toBeGreaterThan(0);
  return at;
}

function changed(jpeg: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(jpeg);
  copy[at] = value;
  return copy;
}

describe('the header of a JPEG', () => {
  it('says the same as sharp of files of every kind', async () => {
    const files = readdirSync(FOLDER).filter((name) => name.endsWith('.jpg'));
    expect(files.length).toBeGreaterThanOrEqual(19);
    for (const file of files) {
      const jpeg = readFileSync(new URL(file, FOLDER));
      const { autoOrient, orientation = 1 } = await sharp(jpeg).metadata();
      expect(readJpegHeader(jpeg), file).toEqual({ size: autoOrient, orientation });
    }
  });

  it('is read from a part of a larger buffer', async () => {
    const jpeg = turned(await images.quadrants(40, 80).jpeg().toBuffer(), 6);
    const larger = Buffer.concat([Buffer.alloc(5), jpeg]);
    expect(readJpegHeader(larger.subarray(5))).toEqual({ size: { width: 80, height: 40 }, orientation: 6 });
    expect(readJpegHeader(larger)).toBeUndefined();
  });

  it('is left to others where colours must be converted', async () => {
    const quadrants = images.quadrants(64, 48);
    expect(readJpegHeader(await quadrants.clone().jpeg().toBuffer())).toBeDefined();
    expect(readJpegHeader(await quadrants.clone().withIccProfile('p3').jpeg().toBuffer())).toBeUndefined();
    expect(readJpegHeader(await images.cmykJpeg())).toBeUndefined();
  });

  it('is left to others where it is no JPEG, or not all there', async () => {
    const jpeg = turned(await images.quadrants(64, 48).jpeg().toBuffer(), 3);
    const scan = segment(jpeg, 0xda);
    expect(readJpegHeader(jpeg.subarray(0, scan + 14))).toBeDefined();
    for (let length = 0; length < scan + 12; length++) {
      expect(readJpegHeader(jpeg.subarray(0, length)), `${length} bytes`).toBeUndefined();
    }
    expect(readJpegHeader(await images.palettePng())).toBeUndefined();
  });

  it('is left to others where it is odd', async () => {
    const jpeg = await images.quadrants(64, 48).jpeg().toBuffer();
    const frame = segment(jpeg, 0xc0);
    const odd = {
      'lossless coding': changed(jpeg, frame + 1, 0xc3),
      'arithmetic coding': changed(jpeg, frame + 1, 0xc9),
      '12 bits': changed(jpeg, frame + 4, 12),
      'two components': changed(jpeg, frame + 9, 2),
      'no width': changed(changed(jpeg, frame + 7, 0), frame + 8, 0),
      'no height': changed(changed(jpeg, frame + 5, 0), frame + 6, 0),
      'two frames': withSegment(jpeg, 0xc0, jpeg.subarray(frame + 4, frame + 19)),
      'a marker unknown': withSegment(jpeg, 0xf7, Buffer.alloc(4)),
      'a length of zero': changed(changed(jpeg, frame + 2, 0), frame + 3, 0),
      'no marker where one is due': changed(jpeg, frame, 0),
    };
    for (const [what, file] of Object.entries(odd)) expect(readJpegHeader(file), what).toBeUndefined();
  });

  it('is left to others where its EXIF is odd', async () => {
    const jpeg = await images.quadrants(64, 48).jpeg().toBuffer();
    for (const order of ['II', 'MM'] as const) {
      const sound = withSegment(jpeg, 0xe1, exifOf(6, order));
      expect(readJpegHeader(sound)).toEqual({ size: { width: 48, height: 64 }, orientation: 6 });
      expect((await sharp(sound).metadata()).orientation).toBe(6);
    }
    const exif = exifOf(6);
    const odd = {
      'a byte after its name': changed(exif, 5, 1),
      'another byte order': changed(exif, 6, 0x4a),
      'not TIFF': changed(exif, 8, 43),
      'a folder beyond its end': changed(exif, 11, 0xff),
      'too many entries': changed(exif, 14, 2),
      'an orientation of four bytes': changed(exif, 18, 4),
      'two orientations': changed(exif, 20, 2),
      'orientation 0': exifOf(0),
      'orientation 9': exifOf(9),
      'next to nothing in it': exif.subarray(0, 12),
    };
    for (const [what, content] of Object.entries(odd)) {
      expect(readJpegHeader(withSegment(jpeg, 0xe1, content)), what).toBeUndefined();
    }
    expect(readJpegHeader(turned(turned(jpeg, 6), 6)), 'two of them').toBeUndefined();
  });

  it('passes over what does not matter', async () => {
    const plain = await images.quadrants(64, 48).jpeg().toBuffer();
    const content = changed(exifOf(1), 16, 0x0f);
    const xmp = Buffer.from('http://ns.adobe.com/xap/1.0/\0');
    for (const jpeg of [
      withSegment(plain, 0xe1, xmp),
      withSegment(plain, 0xe1, content),
      withSegment(plain, 0xfe, xmp),
    ]) {
      expect(readJpegHeader(jpeg)).toEqual({ size: { width: 64, height: 48 }, orientation: 1 });
    }
  });
});
