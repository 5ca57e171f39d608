import type { Size } from './resample-plan.js';

/** What the header of a JPEG says, for those that need no conversion of colours. */
export interface JpegHeader {
  /** As seen upright. */
  readonly size: Size;
  /** EXIF: 1 (stored upright) to 8; from 5 on it is stored lying on its side. */
  readonly orientation: number;
}

const START_OF_SCAN = 0xda;
const APP1 = 0xe1;
const APP2 = 0xe2;
/** Baseline, extended and progressive with Huffman coding; nothing else is met with. */
const FRAMES = [0xc0, 0xc1, 0xc2];
/** Quantisation and Huffman tables, restart interval, application data and comment. */
const isPassedOver = (marker: number) =>
  [0xdb, 0xc4, 0xdd, 0xfe].includes(marker) || (marker >= 0xe0 && marker <= 0xef);

/**
 * Reads the markers of a JPEG up to its first scan (ITU-T T.81, annex B; EXIF 2.32, 4.6).
 *
 * @returns undefined for whatever is not plain: another coding, other than 8 bits, CMYK, a colour profile, and anything
 *   that is odd, of which someone else may say what is wrong
 */
export function readJpegHeader(bytes: Uint8Array): JpegHeader | undefined {
  if (bytes.length < 4 || bytes[0] !== 0xff || bytes[1] !== 0xd8) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let size: Size | undefined;
  let orientation: number | undefined;
  let at = 2;
  while (at + 4 <= bytes.length) {
    const marker = bytes[at + 1]!;
    const length = view.getUint16(at + 2);
    const [start, end] = [at + 4, at + 2 + length];
    if (bytes[at] !== 0xff || length < 2 || end > bytes.length) return undefined;
    if (marker === START_OF_SCAN) return size && upright(size, orientation ?? 1);
    if (FRAMES.includes(marker)) {
      if (size !== undefined) return undefined;
      size = readFrame(view, start, end);
      if (size === undefined) return undefined;
    } else if (!isPassedOver(marker)) {
      return undefined;
    }
    if (marker === APP2 && startsWith(bytes, start, end, 'ICC_PROFILE\0')) return undefined;
    if (marker === APP1 && startsWith(bytes, start, end, 'Exif')) {
      if (orientation !== undefined) return undefined;
      orientation = readOrientation(new DataView(bytes.buffer, bytes.byteOffset + start, end - start));
      if (orientation === undefined) return undefined;
    }
    at = end;
  }
  return undefined;
}

function upright({ width, height }: Size, orientation: number): JpegHeader {
  return { size: orientation < 5 ? { width, height } : { width: height, height: width }, orientation };
}

function readFrame(view: DataView, start: number, end: number): Size | undefined {
  if (end - start < 6) return undefined;
  const [bits, height, width] = [view.getUint8(start), view.getUint16(start + 1), view.getUint16(start + 3)];
  const components = view.getUint8(start + 5);
  const isKnown = bits === 8 && (components === 1 || components === 3) && end - start === 6 + 3 * components;
  return isKnown && width > 0 && height > 0 ? { width, height } : undefined;
}

function startsWith(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start < text.length) return false;
  return [...text].every((letter, i) => bytes[start + i] === letter.charCodeAt(0));
}

const ORIENTATION_TAG = 0x0112;
const TYPE_SHORT = 3;

/**
 * @param exif `Exif`, two zeros and a TIFF file
 * @returns 1 when it says nothing of it, undefined when it is odd
 */
function readOrientation(exif: DataView): number | undefined {
  const tiff = 6;
  if (exif.byteLength < tiff + 8 || exif.getUint16(4) !== 0) return undefined;
  const order = exif.getUint16(tiff);
  if (order !== 0x4949 && order !== 0x4d4d) return undefined;
  const isLittle = order === 0x4949;
  const folder = tiff + exif.getUint32(tiff + 4, isLittle);
  if (exif.getUint16(tiff + 2, isLittle) !== 42 || folder + 2 > exif.byteLength) return undefined;
  const entries = exif.getUint16(folder, isLittle);
  if (folder + 2 + entries * 12 > exif.byteLength) return undefined;
  for (let entry = folder + 2; entry < folder + 2 + entries * 12; entry += 12) {
    if (exif.getUint16(entry, isLittle) !== ORIENTATION_TAG) continue;
    const value = exif.getUint16(entry + 8, isLittle);
    const isKnown =
      exif.getUint16(entry + 2, isLittle) === TYPE_SHORT && exif.getUint32(entry + 4, isLittle) === 1;
    return isKnown && value >= 1 && value <= 8 ? value : undefined;
  }
  return 1;
}
