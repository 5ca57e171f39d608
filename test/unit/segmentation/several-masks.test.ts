import { describe, expect, it } from 'vitest';
import { deepSpectralMasks } from '#dino/segmentation/deep-spectral.js';
import type { KeyFeatures } from '#dino/segmentation/key-features.js';
import { maskCutMasks } from '#dino/segmentation/maskcut.js';
import { createRandom, maskIou } from '../../support/drawn-scenes.js';
import { markedKeys, picture, problem } from './marked-keys.js';

/** Rectangles of letters on a ground of `.`, with noise on every key: `[letter, row, column, height, width]`. */
function scene(
  grid: { height: number; width: number },
  objects: readonly (readonly [letter: string, row: number, column: number, height: number, width: number])[],
  noise = 0.08,
): KeyFeatures & { truth: (letter: string) => Uint8Array } {
  const marks = Array.from({ length: grid.height * grid.width }, () => '.');
  for (const [letter, row, column, height, width] of objects) {
    for (let y = row; y < row + height; y++)
      marks.fill(letter, y * grid.width + column, y * grid.width + column + width);
  }
  const lines = Array.from({ length: grid.height }, (_, y) =>
    marks.slice(y * grid.width, (y + 1) * grid.width).join(''),
  );
  const features = markedKeys(lines.join(' '));
  const random = createRandom(6);
  return {
    ...features,
    keys: features.keys.map((entry) => entry + noise * (random() - 0.5)),
    truth: (letter) => Uint8Array.from(marks, (mark) => (mark === letter ? 1 : 0)),
  };
}

const GRID = { height: 16, width: 22 };
const OBJECTS = [
  ['a', 2, 2, 6, 5],
  ['b', 9, 12, 5, 6],
  ['c', 1, 14, 4, 4],
] as const;

describe('maskcut', () => {
  it('finds each of three drawn objects, apart from one another', () => {
    const features = scene(GRID, OBJECTS);
    const masks = maskCutMasks(features);
    expect(masks).toHaveLength(3);
    for (const [letter] of OBJECTS) {
      const ious = masks.map(({ cells }) => maskIou(cells, features.truth(letter)));
      expect(Math.max(...ious)).toBe(1);
    }
    const covered = masks[0]!.cells.map((_, patch) =>
      masks.reduce((sum, { cells }) => sum + cells[patch]!, 0),
    );
    expect(Math.max(...covered)).toBe(1);
  });

  it('finds as many as are asked for, the same ones first', () => {
    const features = scene(GRID, OBJECTS);
    const all = maskCutMasks(features);
    expect(maskCutMasks({ ...features, objects: 1 })).toEqual(all.slice(0, 1));
    expect(maskCutMasks({ ...features, objects: 2 })).toEqual(all.slice(0, 2));
  });

  it('stops where nothing is left to part', () => {
    expect(maskCutMasks({ ...scene(GRID, OBJECTS), objects: 10 })).toHaveLength(3);
    expect(maskCutMasks({ ...scene(GRID, OBJECTS.slice(0, 1)), objects: 10 })).toHaveLength(1);
  });

  it('takes no object of a hundredth of the patches or less after the first', () => {
    // 352 patches: three are less than a hundredth, four are more.
    const second = (width: number) => [OBJECTS[0], ['b', 12, 12, 1, width] as const];
    expect(maskCutMasks(scene(GRID, second(4))).map(({ cells }) => cells.reduce((a, b) => a + b))).toContain(
      4,
    );
    const masks = maskCutMasks(scene(GRID, second(3)));
    expect(masks.slice(1).every(({ cells }) => cells.reduce((a, b) => a + b) > 3)).toBe(true);
  });

  it('takes the side without the corners for the foreground, where the other has three of them', () => {
    // The frame is the smaller side, and stands out most, but holds all four corners.
    const framed = 'aaaaaaaa abbbbbba abbbbbba abbbbbba abbbbbba abbbbbba abbbbbba aaaaaaaa';
    const [first] = maskCutMasks(markedKeys(framed));
    expect(picture(first!, markedKeys(framed))).toBe(framed.replaceAll('a', '.').replaceAll('b', '#'));
    // With two corners it is the side that stands out.
    const left = 'aabbbbbb aabbbbbb aabbbbbb aabbbbbb';
    expect(picture(maskCutMasks(markedKeys(left))[0]!, markedKeys(left))).toBe(
      left.replaceAll('b', '.').replaceAll('a', '#'),
    );
  });

  it('joins patches above tau alone, 0.15 unless told', () => {
    // A cosine of 0.18 between object and ground.
    const object = [0.18, Math.sqrt(1 - 0.18 ** 2)];
    const row = Array.from({ length: 30 }, (_, at) => (at > 11 && at < 17 ? object : [1, 0]));
    const features = { keys: Float32Array.from(row.flat()), dimension: 2, grid: { height: 5, width: 6 } };
    expect(maskCutMasks(features)).toEqual([]);
    expect(maskCutMasks({ ...features, tau: 0.2 })).toHaveLength(1);
    expect(problem(() => maskCutMasks({ ...features, tau: NaN })).code).toBe('invalid-request');
  });
});

describe('deep-spectral', () => {
  it('finds drawn parts, each by an eigenvector, beginning with the one that is most apart', () => {
    const features = scene(GRID, OBJECTS);
    const masks = deepSpectralMasks(features);
    expect(masks).toHaveLength(3);
    // Each eigenvector parts some of the four regions from the others, and what it keeps hangs together.
    for (const { cells } of masks) {
      const ious = OBJECTS.map(([letter]) => maskIou(cells, features.truth(letter)));
      expect(Math.max(...ious)).toBeGreaterThan(0.95);
    }
  });

  it('gives an object alone by its first eigenvector', () => {
    const features = scene(GRID, OBJECTS.slice(1, 2), 0.4);
    const [first] = deepSpectralMasks({ ...features, objects: 1 });
    expect(maskIou(first!.cells, features.truth('b'))).toBe(1);
  });

  it('has a mask for each eigenvector asked for, and no more than there are', () => {
    const features = scene(GRID, OBJECTS, 0.5);
    for (const objects of [1, 2, 7])
      expect(deepSpectralMasks({ ...features, objects })).toHaveLength(objects);
    expect(
      deepSpectralMasks({ ...scene({ height: 2, width: 2 }, [['a', 0, 0, 1, 2]]), objects: 9 }),
    ).toHaveLength(3);
  });

  it('finds nothing where every two patches are equally alike', () => {
    expect(deepSpectralMasks(markedKeys('abc def'))).toEqual([]);
    expect(deepSpectralMasks(markedKeys('aaa aaa'))).toEqual([]);
  });
});

it.each([0, -1, 1.5, 11, NaN])('%f objects are refused', (objects) => {
  for (const find of [maskCutMasks, deepSpectralMasks]) {
    const error = problem(() => find({ ...markedKeys('ab'), objects }));
    expect(error.code).toBe('invalid-request');
    expect(error.message).toBe(`objects is a whole number, 1 to 10, not ${objects}.`);
  }
});
