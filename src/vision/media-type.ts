import { DinoError } from '../errors.js';

/** The formats that are read. What the sender declares is never asked: the first bytes of the file decide. */
export const MEDIA_TYPES = ['image/jpeg', 'image/png', 'image/webp', 'image/gif', 'image/avif'] as const;
export type ImageMediaType = (typeof MEDIA_TYPES)[number];

const READ_FORMATS = 'JPEG, PNG, WebP, GIF and AVIF images are read';

/**
 * Tells the format of an image by its first bytes.
 *
 * @throws DinoError `invalid-request` for an empty file; `unsupported-image` for everything that is not one of
 *   {@link MEDIA_TYPES}, with what to do about it where the format is known
 */
export function detectMediaType(bytes: Uint8Array): ImageMediaType {
  if (bytes.length === 0) {
    throw new DinoError('invalid-request', `The image is empty (0 bytes). ${READ_FORMATS}.`);
  }
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 1024)).toString('latin1');
  if (start.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  if (start.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (start.startsWith('RIFF') && start.startsWith('WEBP', 8)) return 'image/webp';
  if (start.startsWith('GIF87a') || start.startsWith('GIF89a')) return 'image/gif';
  const brands = isoBrands(start);
  if (brands.some((brand) => brand === 'avif' || brand === 'avis')) return 'image/avif';
  throw new DinoError('unsupported-image', `${adviceFor(start, brands)} ${READ_FORMATS}.`);
}

/** The brands that an ISO base media file (HEIC, AVIF, MP4) declares in its first box; none for other files. */
function isoBrands(start: string): string[] {
  if (!start.startsWith('ftyp', 4)) return [];
  const boxLength = Math.min(Buffer.from(start.slice(0, 4), 'latin1').readUInt32BE(0), start.length);
  const brands = [start.slice(8, 12)];
  // Bytes 12 to 15 hold a version number, no brand.
  for (let at = 16; at + 4 <= boxLength; at += 4) brands.push(start.slice(at, at + 4));
  return brands;
}

function adviceFor(start: string, brands: readonly string[]): string {
  if (brands.some((brand) => /^(hei[cxms]|hev[cxms]|mif1|msf1)$/.test(brand))) {
    return 'This is a HEIC photo, which is not read: convert it to JPEG, or set the phone to "Most Compatible".';
  }
  if (brands.length > 0) return 'This is a video or another ISO media file: send a single frame as an image.';
  if (start.startsWith('%PDF')) return 'This is a PDF: render its pages to PNG first.';
  if (/^(II\*\0|MM\0\*)/.test(start)) return 'This is a TIFF, which is not read: convert it to PNG first.';
  if (start.startsWith('BM')) return 'This is a BMP, which is not read: convert it to PNG first.';
  if (/<svg[\s>]/i.test(start)) return 'This is an SVG drawing: render it to PNG first.';
  return 'This is not an image in a format that is known here, whatever its name or declared type says.';
}
