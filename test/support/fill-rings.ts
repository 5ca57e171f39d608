/**
 * The pixels that rings of upright and level lines enclose, by the even-odd rule: a pixel is inside where a line from
 * its centre to the right crosses an odd number of them.
 *
 * @param rings `[x1, y1, x2, y2, ...]` in px, each closed
 * @returns `height * width` bytes, row by row
 */
export function fillRings(rings: readonly (readonly number[])[], width: number, height: number): Uint8Array {
  const pixels = new Uint8Array(width * height);
  for (const ring of rings) {
    for (let at = 0; at < ring.length; at += 2) {
      const [x, y] = [ring[at]!, ring[at + 1]!];
      const below = ring[(at + 3) % ring.length]!;
      for (let row = Math.min(y, below); row < Math.max(y, below); row++) {
        for (let column = 0; column < x; column++) pixels[row * width + column]! ^= 1;
      }
    }
  }
  return pixels;
}
