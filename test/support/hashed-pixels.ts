/**
 * Test images that Python computes, too: hash noise over a slope, [batch, height, width, 3].
 *
 * scripts/dino_train/golden_checkpoints.py holds the same formula.
 */
export function hashedPixels(batch: number, height: number, width: number): Uint8Array {
  const pixels = new Uint8Array(batch * height * width * 3);
  let index = 0;
  for (let b = 0; b < batch; b++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        for (let c = 0; c < 3; c++, index++) {
          let noise = Math.imul(index, 0x9e3779b1);
          noise ^= noise >>> 15;
          noise = Math.imul(noise, 0x85ebca77);
          noise ^= noise >>> 13;
          const slope = (37 * b + 3 * y + 2 * x + 64 * c) % 256;
          pixels[index] = ((noise >>> 24) + slope) >> 1;
        }
      }
    }
  }
  return pixels;
}
