import { once } from 'node:events';
import { createDeflate } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';

/**
 * Files that a service meets sooner or later: what is no image at all, what is damaged or too large, and the
 * lawful rarities (CMYK, EXIF rotation, animation, 16 bits, grey with alpha, palettes). The lawful ones show
 * quadrants or halves of known colours, named with each builder, so that a test can check what was read.
 */

export const RED = [200, 30, 40] as const;
export const GREEN = [30, 180, 60] as const;
export const BLUE = [40, 60, 210] as const;
export const YELLOW = [230, 210, 50] as const;
/** A colour that ink can show. */
export const CMYK_TONE = [150, 110, 90] as const;

/** No bytes: to be answered as an invalid request. */
export function emptyFile(): Buffer {
  return Buffer.alloc(0);
}

/** Plain text that somebody called `photo.jpg`. */
export function textFile(): Buffer {
  return Buffer.from('This is not a photo, whatever the name of the file says.\n'.repeat(20));
}

/** A correct SVG drawing, which the service does not render. */
export function svgFile(): Buffer {
  return Buffer.from(
    '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="64" height="64">' +
      '<rect width="64" height="64" fill="red"/></svg>',
  );
}

/** The start of a PDF. */
export function pdfFile(): Buffer {
  return Buffer.from('%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n');
}

/** The container of an iPhone photo: the ISO-BMFF brands of HEIC, without the picture. */
export function heicFile(): Buffer {
  const header = Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1');
  return Buffer.concat([header, Buffer.alloc(256)]);
}

/** A JPEG of 320 x 240 that stops in the middle of its pixels, as after a broken upload. */
export async function truncatedJpeg(): Promise<Buffer> {
  const grainy = rgbOf(320, 240, (x, y) => [(x * 7 + y * 13) % 256, (x * x + y) % 256, (x + y * y) % 256]);
  const whole = await sharp(grainy, { raw: { width: 320, height: 240, channels: 3 } })
    .jpeg()
    .toBuffer();
  return whole.subarray(0, Math.floor(whole.length / 2));
}

/** A PNG of 320 x 240 whose compressed data is overwritten in the middle. */
export async function corruptPng(): Promise<Buffer> {
  const whole = await quadrants(320, 240).png().toBuffer();
  return Buffer.from(whole).fill(0xa5, Math.floor(whole.length * 0.4), Math.floor(whole.length * 0.7));
}

/** A picture of one pixel, {@link RED}. */
export async function onePixelPng(): Promise<Buffer> {
  return sharp(Buffer.from(RED), { raw: { width: 1, height: 1, channels: 3 } })
    .png()
    .toBuffer();
}

/** A complete, correct PNG of 30,000 x 30,000 black pixels in about 110 kB: a decompression bomb. */
export async function hugePng(): Promise<Buffer> {
  const side = 30_000;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  // One bit a pixel, grey.
  header.set([1, 0, 0, 0, 0], 8);
  const rows = Buffer.alloc(100 * (1 + Math.ceil(side / 8)));
  const deflate = createDeflate({ level: 9 });
  const compressed: Buffer[] = [];
  deflate.on('data', (part: Buffer) => compressed.push(part));
  for (let row = 0; row < side; row += 100) {
    if (!deflate.write(rows)) await once(deflate, 'drain');
  }
  deflate.end();
  await once(deflate, 'end');
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    pngChunk('IHDR', header),
    pngChunk('IDAT', Buffer.concat(compressed)),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

/** A small JPEG whose header claims 30,000 x 30,000 pixels. */
export async function hugeJpeg(): Promise<Buffer> {
  const jpeg = Buffer.from(await quadrants(64, 64).jpeg().toBuffer());
  const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
  jpeg.writeUInt16BE(30_000, frame + 5);
  jpeg.writeUInt16BE(30_000, frame + 7);
  return jpeg;
}

/** A CMYK JPEG of 64 x 48, all {@link CMYK_TONE} (as near as the way through ink and back comes). */
export async function cmykJpeg(): Promise<Buffer> {
  return plain(64, 48, CMYK_TONE).toColourspace('cmyk').jpeg({ quality: 95 }).toBuffer();
}

/**
 * A JPEG that shows {@link quadrants} of 80 x 40 when seen upright. It is stored turned or mirrored as the EXIF
 * `orientation` (1 to 8) says, so a reader that ignores EXIF sees 40 x 80 for 5 to 8, and wrong corners for
 * every value but 1.
 */
export async function exifJpeg(orientation: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8): Promise<Buffer> {
  const isMirrored = [2, 4, 5, 7].includes(orientation);
  const degrees = { 1: 0, 2: 0, 3: 180, 4: 180, 5: 270, 6: 270, 7: 90, 8: 90 }[orientation];
  const upright = await quadrants(80, 40).flop(isMirrored).png().toBuffer();
  return sharp(upright)
    .rotate(degrees)
    .withMetadata({ orientation })
    .jpeg({ quality: 95, chromaSubsampling: '4:4:4' })
    .toBuffer();
}

/** An animated GIF of 40 x 30 with three frames: {@link RED}, {@link GREEN}, {@link BLUE}. */
export async function animatedGif(): Promise<Buffer> {
  const frame = (colour: readonly number[]) => rgbOf(40, 30, () => colour);
  return sharp(Buffer.concat([frame(RED), frame(GREEN), frame(BLUE)]), {
    raw: { width: 40, height: 90, channels: 3, pageHeight: 30 },
  })
    .gif({ delay: [100, 100, 100], loop: 0 })
    .toBuffer();
}

/** A PNG of 64 x 48 with 16 bits a channel: left half {@link RED}, right half {@link BLUE} (times 257). */
export async function sixteenBitPng(): Promise<Buffer> {
  const values = Uint16Array.from(
    rgbOf(64, 48, (x) => (x < 32 ? RED : BLUE)),
    (value) => value * 257,
  );
  return sharp(values, { raw: { width: 64, height: 48, channels: 3 } })
    .toColourspace('rgb16')
    .png()
    .toBuffer();
}

/** A grey PNG of 64 x 48 with alpha: left half grey 80 and opaque, right half black and wholly transparent. */
export async function greyAlphaPng(): Promise<Buffer> {
  const values = Buffer.alloc(64 * 48 * 2);
  for (let pixel = 0; pixel < 64 * 48; pixel++) {
    if (pixel % 64 < 32) values.set([80, 255], pixel * 2);
  }
  return sharp(values, { raw: { width: 64, height: 48, channels: 2 } })
    .toColourspace('b-w')
    .png()
    .toBuffer();
}

/** A 16-bit grey PNG of 64 x 48 with alpha: as {@link greyAlphaPng}, times 257. */
export async function sixteenBitGreyAlphaPng(): Promise<Buffer> {
  const values = new Uint16Array(64 * 48 * 2);
  for (let pixel = 0; pixel < 64 * 48; pixel++) {
    if (pixel % 64 < 32) values.set([80 * 257, 65535], pixel * 2);
  }
  return sharp(values, { raw: { width: 64, height: 48, channels: 2 } })
    .toColourspace('grey16')
    .png()
    .toBuffer();
}

/** A palette PNG of 64 x 48 in quadrants: {@link RED}, {@link GREEN} above {@link BLUE}, {@link YELLOW}. */
export async function palettePng(): Promise<Buffer> {
  return quadrants(64, 48).png({ palette: true, colours: 4, dither: 0 }).toBuffer();
}

/**
 * A picture in quadrants: {@link RED}, {@link GREEN} above {@link BLUE}, {@link YELLOW}; a sharp instance, to
 * be encoded as the test likes.
 */
export function quadrants(width: number, height: number): Sharp {
  const rgb = rgbOf(width, height, (x, y) => {
    if (y < height / 2) return x < width / 2 ? RED : GREEN;
    return x < width / 2 ? BLUE : YELLOW;
  });
  return sharp(rgb, { raw: { width, height, channels: 3 } });
}

function plain(width: number, height: number, colour: readonly number[]): Sharp {
  return sharp(
    rgbOf(width, height, () => colour),
    { raw: { width, height, channels: 3 } },
  );
}

function rgbOf(width: number, height: number, colourAt: (x: number, y: number) => readonly number[]): Buffer {
  const rgb = Buffer.alloc(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) {
    rgb.set(colourAt(pixel % width, Math.floor(pixel / width)), pixel * 3);
  }
  return rgb;
}

function pngChunk(type: string, data: Buffer): Buffer {
  const chunk = Buffer.alloc(12 + data.length);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write(type, 4, 'latin1');
  data.copy(chunk, 8);
  chunk.writeUInt32BE(crcOf(chunk.subarray(4, 8 + data.length)), 8 + data.length);
  return chunk;
}

// zlib.crc32 came with Node 20.15, and Node 20.9 is promised to work.
function crcOf(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
