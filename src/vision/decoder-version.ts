import sharp from 'sharp';

/** Changes when the same file may be decoded to other pixels. */
export const DECODER_VERSION = `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}`;
