/** The inferno colour map (matplotlib's, as the server draws it) at 17 even steps from low to high, RGB. */
const INFERNO = [
  0x000004, 0x0b0724, 0x210c4a, 0x3d0965, 0x57106e, 0x71196e, 0x8a226a, 0xa32c61, 0xbc3754, 0xd24644,
  0xe45a31, 0xf1731d, 0xf98e09, 0xfcac11, 0xf9cb35, 0xf2ea69, 0xfcffa4,
].map((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255] as const);

/** The mean over heads, cell by cell. */
export function meanOfHeads(heads: readonly (readonly number[])[]): number[] {
  const [first = []] = heads;
  return first.map((_, cell) => heads.reduce((sum, head) => sum + head[cell]!, 0) / heads.length);
}

/** One opaque pixel a value, RGBA: the lowest value dark, the highest bright, as in the server's pictures. */
export function heatPixels(values: readonly number[]): Uint8ClampedArray<ArrayBuffer> {
  const lowest = Math.min(...values);
  const range = Math.max(...values) - lowest;
  const pixels = new Uint8ClampedArray(values.length * 4);
  values.forEach((value, cell) => {
    const place = range > 0 ? ((value - lowest) / range) * (INFERNO.length - 1) : 0;
    const step = Math.min(Math.floor(place), INFERNO.length - 2);
    for (let channel = 0; channel < 3; channel++) {
      const from = INFERNO[step]![channel]!;
      pixels[cell * 4 + channel] = from + (place - step) * (INFERNO[step + 1]![channel]! - from);
    }
    pixels[cell * 4 + 3] = 255;
  });
  return pixels;
}
