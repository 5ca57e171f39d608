const APP1 = 0xe1;

/** Puts a segment right behind the first marker of a JPEG. */
export function withSegment(jpeg: Buffer, marker: number, content: Buffer): Buffer {
  const head = Buffer.from([0xff, marker, 0, 0]);
  head.writeUInt16BE(content.length + 2, 2);
  return Buffer.concat([jpeg.subarray(0, 2), head, content, jpeg.subarray(2)]);
}

/** EXIF that says nothing but this, in the given order of bytes. */
export function exifOf(orientation: number, order: 'II' | 'MM' = 'II'): Buffer {
  const exif = Buffer.alloc(32);
  exif.write(`Exif\0\0${order}`, 'latin1');
  const short = (value: number, at: number) =>
    order === 'II' ? exif.writeUInt16LE(value, at) : exif.writeUInt16BE(value, at);
  const long = (value: number, at: number) =>
    order === 'II' ? exif.writeUInt32LE(value, at) : exif.writeUInt32BE(value, at);
  short(42, 8);
  // One entry, at byte 8 of the TIFF: tag, type (short), count, value.
  long(8, 10);
  short(1, 14);
  short(0x0112, 16);
  short(3, 18);
  long(1, 20);
  short(orientation, 24);
  return exif;
}

/** The same JPEG, to be seen turned; unlike sharp's `withMetadata`, without a colour profile. */
export function turned(jpeg: Buffer, orientation: number): Buffer {
  return withSegment(jpeg, APP1, exifOf(orientation));
}
