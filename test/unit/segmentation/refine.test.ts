import { describe, expect, it } from 'vitest';
import { refineMasks } from '#dino/segmentation/refine.js';
import { expandMask } from '#dino/vision/grid-cover.js';
import { drawScene, maskIou, SCENE_CLASSES, type DrawnScene } from '../../support/drawn-scenes.js';

const GRID = { height: 14, width: 14 };

/** The patches of which at least half lies on the drawn shape. */
function coarseMask({ truth, width, height }: DrawnScene): Uint8Array {
  const covered = new Float64Array(GRID.height * GRID.width);
  truth.forEach((inside, pixel) => {
    const column = Math.floor(((pixel % width) * GRID.width) / width);
    covered[Math.floor((Math.floor(pixel / width) * GRID.height) / height) * GRID.width + column]! += inside;
  });
  const patch = (width / GRID.width) * (height / GRID.height);
  return Uint8Array.from(covered, (pixels) => (pixels >= patch / 2 ? 1 : 0));
}

function pixelsOf({ rgb, width, height }: DrawnScene) {
  return { data: Uint8Array.from(rgb), width, height };
}

describe('a refined mask', () => {
  it.each(SCENE_CLASSES)(
    'of a %s is that of the drawn shape, where the patches cover it roughly',
    async (className) => {
      for (const seed of [1, 2]) {
        const scene = await drawScene({ className, seed });
        const cells = coarseMask(scene);
        const [refined] = refineMasks({ pixels: pixelsOf(scene), grid: GRID, masks: [cells] });
        const coarse = expandMask({ cells, grid: GRID, width: scene.width, height: scene.height });
        expect(refined!.isRefined).toBe(true);
        expect(maskIou(refined!.pixels, scene.truth)).toBeGreaterThan(0.95);
        expect(maskIou(refined!.pixels, scene.truth)).toBeGreaterThan(maskIou(coarse, scene.truth));
      }
    },
  );

  it('is its own for each mask of one picture', async () => {
    const scene = await drawScene({ className: 'disc-on-stripes' });
    const pixels = pixelsOf(scene);
    const mask = coarseMask(scene);
    const ground = mask.map((inside) => 1 - inside);
    const both = refineMasks({ pixels, grid: GRID, masks: [mask, ground] });
    expect(both[0]).toEqual(refineMasks({ pixels, grid: GRID, masks: [mask] })[0]);
    expect(both[1]).toEqual(refineMasks({ pixels, grid: GRID, masks: [ground] })[0]);
  });

  it('is the mask of patches where the photo has nothing of it', () => {
    // One patch in a plain picture: smoothed away.
    const [width, height] = [140, 140];
    const pixels = { data: new Uint8Array(width * height * 3).fill(120), width, height };
    const cells = new Uint8Array(GRID.height * GRID.width);
    cells[100] = 1;
    const [refined] = refineMasks({ pixels, grid: GRID, masks: [cells] });
    expect(refined!.isRefined).toBe(false);
    expect(refined!.pixels).toEqual(expandMask({ cells, grid: GRID, width, height }));
  });

  it.each([0, 1])('of nothing, or of everything, stays that: %i', (value) => {
    const [width, height] = [60, 45];
    const data = Uint8Array.from({ length: width * height * 3 }, (_, at) => (at * 37) % 256);
    const cells = new Uint8Array(GRID.height * GRID.width).fill(value);
    const [refined] = refineMasks({ pixels: { data, width, height }, grid: GRID, masks: [cells] });
    expect(refined!.pixels).toEqual(new Uint8Array(width * height).fill(value));
  });

  it.each([
    [1, 1],
    [3, 2],
    [500, 3],
  ])('is there for a picture of %i x %i px', (width, height) => {
    const pixels = { data: new Uint8Array(width * height * 3).fill(90), width, height };
    const cells = new Uint8Array(GRID.height * GRID.width).fill(1, 0, 98);
    const [refined] = refineMasks({ pixels, grid: GRID, masks: [cells] });
    expect(refined!.pixels).toHaveLength(width * height);
  });
});
