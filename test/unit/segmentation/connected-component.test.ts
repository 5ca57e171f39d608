import { describe, expect, it } from 'vitest';
import { largestComponent } from '#dino/segmentation/connected-component.js';

const grid = { width: 5, height: 4 };
const cellsOf = (...rows: string[]) => Uint8Array.from(rows.join(''), (cell) => (cell === '#' ? 1 : 0));

describe('the largest part of a mask', () => {
  const cells = cellsOf('##..#', '#..##', '...##', '#....');

  it('is what hangs together by edges', () => {
    const part = largestComponent(cells, grid);
    expect([...part.cells]).toEqual([...cellsOf('....#', '...##', '...##', '.....')]);
    expect(part.weight).toBe(5);
  });

  it('is not joined over corners, nor from the end of a row to the start of the next', () => {
    expect(largestComponent(cellsOf('#....', '.#...', '..#..', '...#.'), grid).weight).toBe(1);
    expect(largestComponent(cellsOf('....#', '#....', '.....', '.....'), grid).weight).toBe(1);
  });

  it('is the heaviest where patches have weights', () => {
    const weights = new Float32Array(20).fill(0.1);
    weights[15] = 3;
    const part = largestComponent(cells, grid, weights);
    expect([...part.cells]).toEqual([...cellsOf('.....', '.....', '.....', '#....')]);
    expect(part.weight).toBe(3);
  });

  it('of equal parts is the first, of none is empty', () => {
    expect([...largestComponent(cellsOf('#.#..', '.....', '.....', '.....'), grid).cells].indexOf(1)).toBe(0);
    const none = largestComponent(new Uint8Array(20), grid);
    expect([none.weight, none.cells.includes(1)]).toEqual([0, false]);
  });

  it('takes any value but 0 as inside, and all of a full mask', () => {
    expect(largestComponent(new Uint8Array(20).fill(255), grid).weight).toBe(20);
  });
});
