import { describe, expect, it } from 'vitest';
import { patchAt, patchesIn } from '#dino/segmentation/prompt-place.js';
import { boxMasks, pointMasks } from '#dino/segmentation/prompted.js';
import { maskIou } from '../../support/drawn-scenes.js';
import { drawKeys } from './drawn-keys.js';
import { markedKeys, picture, problem } from './marked-keys.js';

/** A box around what is marked, `margin` patches wider on each side. */
function boxAround(truth: Uint8Array, grid: { height: number; width: number }, margin: number): Uint8Array {
  const inside = [...truth.keys()].filter((patch) => truth[patch] === 1);
  const columns = inside.map((patch) => patch % grid.width);
  const rows = inside.map((patch) => Math.floor(patch / grid.width));
  const isNear = (at: number, places: number[]) =>
    at >= Math.min(...places) - margin && at <= Math.max(...places) + margin;
  return truth.map((_, patch) =>
    isNear(patch % grid.width, columns) && isNear(Math.floor(patch / grid.width), rows) ? 1 : 0,
  );
}

describe('a point', () => {
  it.each([
    [14, 14],
    [12, 24],
    [30, 22],
  ])('on a drawn object among %i x %i patches finds it, wherever on it', (height, width) => {
    for (let seed = 1; seed <= 4; seed++) {
      const drawn = drawKeys({ grid: { height, width }, seed });
      const inside = [...drawn.truth.keys()].filter((patch) => drawn.truth[patch] === 1);
      for (const patch of [inside[0]!, inside.at(-1)!, inside[inside.length >> 1]!]) {
        const [mask] = pointMasks({ ...drawn, patch });
        expect(maskIou(mask!.cells, drawn.truth)).toBeGreaterThan(0.9);
        expect(mask!.score).toBeGreaterThan(0.9);
      }
    }
  });

  it('on the ground finds the ground', () => {
    const drawn = drawKeys({ grid: { height: 14, width: 14 } });
    const patch = drawn.truth.indexOf(0);
    const [mask] = pointMasks({ ...drawn, patch });
    expect(
      maskIou(
        mask!.cells,
        drawn.truth.map((inside) => 1 - inside),
      ),
    ).toBeGreaterThan(0.9);
  });

  it('chooses between two objects, also those that are alike', () => {
    const features = markedKeys('aa..bb. aa..bb. ....... .aa.... .aa....');
    expect(picture(pointMasks({ ...features, patch: 4 })[0]!, features)).toBe(
      '....##. ....##. ....... ....... .......',
    );
    expect(picture(pointMasks({ ...features, patch: 22 })[0]!, features)).toBe(
      '....... ....... ....... .##.... .##....',
    );
  });

  it('finds an object of a single patch', () => {
    const features = markedKeys('....... ..b.... .......');
    expect(picture(pointMasks({ ...features, patch: 9 })[0]!, features)).toBe('....... ..#.... .......');
  });

  it('holds its patch and hangs together with it, whatever the keys', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const drawn = drawKeys({ grid: { height: 6, width: 7 }, noise: 5, seed });
      const [mask] = pointMasks({ ...drawn, patch: 2 * seed });
      expect(mask?.cells[2 * seed] ?? 1).toBe(1);
    }
  });

  it('outside the grid is a mistake of the caller', () => {
    for (const patch of [-1, 6, NaN])
      expect(() => pointMasks({ ...markedKeys('aab abb'), patch })).toThrow(RangeError);
  });
});

describe('a box', () => {
  it.each([0, 1, 2])('%i patches wider than a drawn object finds it', (margin) => {
    for (let seed = 1; seed <= 5; seed++) {
      const drawn = drawKeys({ grid: { height: 18, width: 20 }, seed });
      const [mask] = boxMasks({ ...drawn, box: boxAround(drawn.truth, drawn.grid, margin) });
      expect(maskIou(mask!.cells, drawn.truth)).toBeGreaterThan(0.9);
    }
  });

  it('leaves out what lies beyond it, and parts that do not hang together', () => {
    const features = markedKeys('aa..aa. aa..aa. ....... aaaaaaa ...a...');
    const box = Uint8Array.from('##..... ##..... ....... ....... ...#...'.replaceAll(' ', ''), (mark) =>
      mark === '#' ? 1 : 0,
    );
    expect(picture(boxMasks({ ...features, box })[0]!, features)).toBe(
      '##..... ##..... ....... ....... .......',
    );
  });

  it('around every patch, or none, finds nothing', () => {
    const features = markedKeys('aab abb');
    expect(boxMasks({ ...features, box: new Uint8Array(6).fill(1) })).toEqual([]);
    expect(boxMasks({ ...features, box: new Uint8Array(6) })).toEqual([]);
    expect(() => boxMasks({ ...features, box: new Uint8Array(5) })).toThrow(RangeError);
  });
});

describe('the place of a prompt', () => {
  const size = { width: 100, height: 60 };
  const grid = { width: 5, height: 3 };

  it('is the patch that the point lies in', () => {
    expect(patchAt([0, 0], size, grid)).toBe(0);
    expect(patchAt([19.9, 0], size, grid)).toBe(0);
    expect(patchAt([20, 20], size, grid)).toBe(6);
    expect(patchAt([99.5, 59.5], size, grid)).toBe(14);
    expect(patchAt([0, 0], { width: 1, height: 1 }, grid)).toBe(0);
  });

  it.each([[[100, 0]], [[0, 60]], [[-1, 5]], [[NaN, 5]], [[5, Infinity]]] as const)(
    'is refused where the point %j is not on the image',
    (point) => {
      const error = problem(() => patchAt(point, size, grid));
      expect(error.code).toBe('invalid-request');
      expect(error.message).toMatch(/not on the image, which has 100 x 60 px/);
    },
  );

  it('is the patches whose centre lies in the box, or the one under it', () => {
    const marks = (box: readonly [number, number, number, number]) => patchesIn(box, size, grid).join('');
    expect(marks([0, 0, 100, 60])).toBe('1'.repeat(15));
    expect(marks([10, 10, 20, 20])).toBe('100000000000000');
    expect(marks([10, 10, 21, 21])).toBe('110001100000000');
    expect(marks([22, 22, 3, 3])).toBe('000000100000000');
    // What reaches beyond the image is cut off.
    expect(marks([-50, -50, 70, 70])).toBe('100000000000000');
  });

  it.each([
    [[100, 0, 5, 5], /beside the image/],
    [[-10, 0, 10, 5], /beside the image/],
    [[5, 5, 0, 5], /no extent/],
    [[5, 5, 5, -1], /no extent/],
    [[5, 5, NaN, 5], /no extent/],
    [[NaN, 5, 5, 5], /beside the image/],
  ] as const)('is refused for the box %j', (box, says) => {
    const error = problem(() => patchesIn(box, size, grid));
    expect(error.code).toBe('invalid-request');
    expect(error.message).toMatch(says);
  });
});
