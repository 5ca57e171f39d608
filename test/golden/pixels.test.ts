import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createImageReader } from '#dino/vision/image-reader.js';
import { DECODES_JPEGS, JPEG_INSTRUCTIONS, readJpegPixels } from '#dino/vision/jpeg-pixels.js';
import { shrinkOnLoad } from '#dino/vision/resample-plan.js';

type Pair = [number, number];

interface Case {
  readonly file: string;
  readonly source: Pair;
  readonly target: Pair;
  readonly window: [number, number, number, number];
  readonly shrink: number;
  readonly sha256: string;
}

// Made by scripts/golden_pixels.py with Pillow.
const { cases } = JSON.parse(readFileSync(new URL('pixels/expected.json', import.meta.url), 'utf8')) as {
  cases: Case[];
};
const limits = { maxPixels: 50_000_000, timeoutSeconds: 20 };
const read = (file: string) => readFileSync(new URL(`pixels/${file}`, import.meta.url));
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function planOf({ source, target, window }: Case) {
  const size = ([width, height]: Pair) => ({ width, height });
  const [left, top, width, height] = window;
  return { source: size(source), target: size(target), window: { left, top, width, height } };
}

describe('the pixels that Pillow makes of a JPEG', () => {
  it('are looked for in files of every kind', () => {
    expect(DECODES_JPEGS).toBe(true);
    expect(cases.length).toBeGreaterThan(100);
    expect(new Set(cases.map((one) => one.file)).size).toBeGreaterThanOrEqual(19);
  });

  it.each([...new Set(cases.map(({ file }) => file))])('%s is scaled to them, bit by bit', async (file) => {
    const ofThis = cases.filter((one) => one.file === file);
    for (const one of ofThis) {
      const plan = planOf(one);
      const preprocessing = one.shrink === 1 ? 'exact' : 'fast';
      expect(shrinkOnLoad(plan, preprocessing)).toBe(one.shrink);
      for (const instructions of JPEG_INSTRUCTIONS) {
        const options = { ...limits, preprocessing, instructions } as const;
        const pixels = await readJpegPixels(read(file), plan, options);
        expect([pixels?.width, pixels?.height], JSON.stringify(one)).toEqual(one.window.slice(2));
        expect(sha256(pixels!.data), `${instructions}, ${JSON.stringify(one)}`).toBe(one.sha256);
      }
    }
  });

  it('are what the reader of images gives', async () => {
    const reader = createImageReader({ ...limits, preprocessing: 'exact' });
    const whole = cases.filter(({ source, target }) => String(source) === String(target));
    expect(whole.length).toBeGreaterThanOrEqual(16);
    for (const { file, sha256: expected } of whole) {
      const { pixels } = await reader.whole(read(file), { maxPixels: limits.maxPixels });
      expect(sha256(pixels.data), file).toBe(expected);
    }
  });
});
