import { describe, expect, it } from 'vitest';
import { outlineOf, type Ring } from '#dino/segmentation/outline.js';
import { maskArea, maskBox } from '#dino/segmentation/pixel-mask.js';
import { encodeRle, decodeRle } from '#dino/segmentation/rle.js';
import { expandMask, type CellMask } from '#dino/vision/grid-cover.js';
import { createRandom } from '../../support/drawn-scenes.js';
import { fillRings } from '../../support/fill-rings.js';

function drawn(rows: string): CellMask {
  const lines = rows.split(' ');
  const grid = { height: lines.length, width: lines[0]!.length };
  const cells = Uint8Array.from(lines.join(''), (mark) => (mark === '#' ? 1 : 0));
  return { cells, grid, ...grid };
}

function corners(ring: Ring): [x: number, y: number][] {
  return Array.from({ length: ring.length / 2 }, (_, at) => [ring[2 * at]!, ring[2 * at + 1]!]);
}

/** Above 0 for a ring that runs clockwise on the screen. */
function shoelace(ring: Ring): number {
  const points = corners(ring);
  return points.reduce((sum, [x, y], at) => {
    const [nextX, nextY] = points[(at + 1) % points.length]!;
    return sum + (x * nextY - nextX * y) / 2;
  }, 0);
}

describe('the outline of a mask', () => {
  it('of one pixel is its four corners, clockwise from the top left', () => {
    expect(outlineOf(drawn('... .#. ...'))).toEqual([[1, 1, 2, 1, 2, 2, 1, 2]]);
  });

  it('has corners only where it turns', () => {
    expect(outlineOf(drawn('.### .### .#..'))).toEqual([[1, 0, 4, 0, 4, 2, 2, 2, 2, 3, 1, 3]]);
  });

  it('has a hole as a ring of its own, the other way round and after the ring around it', () => {
    const [outer, hole, ...others] = outlineOf(drawn('##### #..## ##### ..... #####'));
    expect([shoelace(outer!), shoelace(hole!)]).toEqual([15, -2]);
    expect(others.map(shoelace)).toEqual([5]);
  });

  it('keeps pixels apart that touch by a corner, and joins holes that do', () => {
    expect(outlineOf(drawn('#. .#')).map(shoelace)).toEqual([1, 1]);
    expect(outlineOf(drawn('.# #.')).map(shoelace)).toEqual([1, 1]);
    expect(outlineOf(drawn('#### #.## ##.# ####')).map(shoelace)).toEqual([16, -2]);
  });

  it('of an empty mask has no ring, and of a full one the picture', () => {
    expect(outlineOf(drawn('.. ..'))).toEqual([]);
    expect(outlineOf({ ...drawn('## ##'), width: 7, height: 5 })).toEqual([[0, 0, 7, 0, 7, 5, 0, 5]]);
  });

  it('encloses the very pixels of the run lengths, with their area and box, for masks of all kinds', () => {
    const random = createRandom(31);
    const upTo = (limit: number) => 1 + Math.floor(random() * limit);
    for (let round = 0; round < 400; round++) {
      const grid = { width: upTo(11), height: upTo(11) };
      const density = random();
      const cells = Uint8Array.from({ length: grid.width * grid.height }, () => (random() < density ? 1 : 0));
      // Every third is a mask of pixels; of the others some have more cells than pixels.
      const size = round % 3 === 0 ? grid : { width: upTo(25), height: upTo(25) };
      const mask = { cells, grid, ...size };
      const rings = outlineOf(mask);
      const inside = [...fillRings(rings, size.width, size.height)];
      expect(inside).toEqual([...decodeRle(encodeRle(mask))]);
      expect(inside).toEqual([...expandMask(mask)]);
      expect(rings.reduce((sum, ring) => sum + shoelace(ring), 0)).toBe(maskArea(mask));
      const xs = rings.flatMap((ring) => corners(ring).map(([x]) => x));
      const ys = rings.flatMap((ring) => corners(ring).map(([, y]) => y));
      const [x, y, width, height] = maskBox(mask);
      if (rings.length > 0) {
        expect([Math.min(...xs), Math.min(...ys)]).toEqual([x, y]);
        expect([Math.max(...xs), Math.max(...ys)]).toEqual([x + width, y + height]);
      }
      for (const ring of rings) {
        corners(ring).forEach(([x1, y1], at, points) => {
          const [x2, y2] = points[(at + 1) % points.length]!;
          const [x3, y3] = points[(at + 2) % points.length]!;
          // Across, down, across, down: no corner on a straight line.
          expect([x1 === x2, y2 === y3]).toEqual([y1 !== y2, x2 !== x3]);
          expect(x1 === x2).toBe(y2 === y3);
        });
      }
    }
  });
});
