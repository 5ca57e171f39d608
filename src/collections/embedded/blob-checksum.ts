/**
 * A checksum of bytes for finding damage on the disk: FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/) over words of 32
 * bits, little-endian, the last one filled up with zeros. Each step is a bijection, so any change within one word is
 * found; fast enough for a million vectors at each start.
 *
 * @returns 0..2^32-1
 */
export function blobChecksum(bytes: Uint8Array): number {
  const whole = bytes.length >>> 2;
  let hash = 0x811c9dc5 ^ bytes.length;
  if (bytes.byteOffset % 4 === 0) {
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, whole);
    for (let i = 0; i < whole; i++) hash = Math.imul(hash ^ words[i]!, 0x01000193);
  } else {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let i = 0; i < whole; i++) hash = Math.imul(hash ^ view.getUint32(4 * i, true), 0x01000193);
  }
  let rest = 0;
  for (let i = 4 * whole; i < bytes.length; i++) rest |= bytes[i]! << (8 * (i - 4 * whole));
  return Math.imul(hash ^ rest, 0x01000193) >>> 0;
}
