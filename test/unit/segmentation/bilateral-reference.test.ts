import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { BilateralGrid } from '#dino/segmentation/bilateral-grid.js';
import { BilateralSolver } from '#dino/segmentation/bilateral-solver.js';
import { refineMasks } from '#dino/segmentation/refine.js';
import { expandMask } from '#dino/vision/grid-cover.js';

/** Written by scripts/dino_train/reference_masks, which solves the whole system with NumPy's `solve`. */
interface Reference {
  readonly cases: readonly {
    readonly name: string;
    readonly height: number;
    readonly width: number;
    /** Base64 of RGB bytes. */
    readonly rgb: string;
    /** A mask of patches, rows of # and . apart by blanks. */
    readonly mask: string;
    /** Base64 of float32: the solution on cells of 3 px, 16 levels of luma and 8 of chroma. */
    readonly solution: string;
    readonly refined: string;
  }[];
}

const file = new URL('./bilateral-reference.json', import.meta.url);
const { cases } = JSON.parse(await readFile(file, 'utf8')) as Reference;

function read({ height, width, rgb, mask }: Reference['cases'][number]) {
  const rows = mask.split(' ');
  const cells = Uint8Array.from(rows.join(''), (mark) => (mark === '#' ? 1 : 0));
  const grid = { height: rows.length, width: rows[0]!.length };
  return { pixels: { data: Uint8Array.from(Buffer.from(rgb, 'base64')), width, height }, cells, grid };
}

describe.each(cases)('the bilateral solver on $name', (reference) => {
  it('solves the system of the plain computation', () => {
    const { pixels, cells, grid } = read(reference);
    const { width, height } = pixels;
    const bilateral = new BilateralGrid(pixels, { spatial: 3, luma: 16, chroma: 8 });
    const onCells = new BilateralSolver(bilateral).solve(expandMask({ cells, grid, width, height }));
    const expected = Buffer.from(reference.solution, 'base64');
    let largest = 0;
    bilateral.cellOf.forEach((cell, pixel) => {
      largest = Math.max(largest, Math.abs(onCells[cell]! - expected.readFloatLE(4 * pixel)));
    });
    expect(largest).toBeLessThan(1e-6);
  });

  it('refines the mask of patches to the very same pixels', () => {
    const { pixels, cells, grid } = read(reference);
    const [refined] = refineMasks({ pixels, grid, masks: [cells] });
    const marks = Array.from(refined!.pixels, (inside) => (inside === 1 ? '#' : '.')).join('');
    expect(marks).toBe(reference.refined.replaceAll(' ', ''));
  });
});
