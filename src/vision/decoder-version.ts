import sharp from 'sharp';
import { DECODES_JPEGS } from './jpeg-pixels.js';

/** Raised with any change to the pixels that the addon makes of a JPEG; 0: sharp makes them. */
const JPEG_PIXELS = DECODES_JPEGS ? 1 : 0;

/** Changes when the same file may be decoded to other pixels. */
export const DECODER_VERSION = `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}, JPEG pixels ${JPEG_PIXELS}`;
