import { rgb } from 'd3-color';
import { interpolateSinebow } from 'd3-scale-chromatic';
import { Brush, type Colour, type Point } from './brush.js';
import { renderSideBySide, type Placed } from './side-by-side.js';

export type { Point } from './brush.js';

export interface PairsOptions {
  /** Bytes that an `ImageReader` has accepted. */
  readonly images: readonly [Uint8Array, Uint8Array];
  /** In px of the photos. */
  readonly pairs: readonly { readonly first: Point; readonly second: Point }[];
}

/** More lines than this hide the photos; the first ones are drawn. */
export const MAX_DRAWN_PAIRS = 200;

const BLACK: Colour = [0, 0, 0];

/**
 * Two photos side by side, with a dot on either end of every pair and a line between them. Colours go round the
 * circle from left to right of the first photo, so that lines that cross can be told apart.
 *
 * @returns PNG, about 1452 px wide
 * @throws DinoError as the reader does
 */
export async function renderPairs({ images, pairs }: PairsOptions): Promise<Buffer> {
  const fromLeft = pairs
    .slice(0, MAX_DRAWN_PAIRS)
    .sort((a, b) => a.first.x - b.first.x || a.first.y - b.first.y);
  return renderSideBySide(images, (overlay, size, placed) => {
    const brush = new Brush(overlay, size);
    const ends = fromLeft.map(({ first, second }, index) => {
      const colour = colourAt(index / fromLeft.length);
      const [from, to] = [onPicture(first, placed[0]!), onPicture(second, placed[1]!)];
      brush.line(from, to, 1.5, colour);
      return { points: [from, to], colour };
    });
    for (const { points, colour } of ends) {
      for (const point of points) {
        brush.dot(point, 6, BLACK);
        brush.dot(point, 5, colour);
      }
    }
  });
}

/** @param share 0..1, a part of the way round the circle of colours; the end is kept apart from the beginning */
function colourAt(share: number): Colour {
  const { r, g, b } = rgb(interpolateSinebow(0.9 * share));
  return [r, g, b];
}

function onPicture({ x, y }: Point, place: Placed): Point {
  return { x: place.left + x * place.scaleX, y: place.top + y * place.scaleY };
}
