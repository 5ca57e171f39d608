import type { Size } from './resample-plan.js';

/** In px from the upper left corner; the middle of the first pixel is at 0.5. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

export type Colour = readonly [red: number, green: number, blue: number];

/** Draws round lines and dots with smooth edges on RGBA pixels; what lies beyond the picture is left out. */
export class Brush {
  readonly #pixels: Uint8Array;
  readonly #size: Size;

  /** @param pixels RGBA, `height * width * 4` bytes row by row, alpha not multiplied in; painted on in place */
  constructor(pixels: Uint8Array, size: Size) {
    this.#pixels = pixels;
    this.#size = size;
  }

  /** A disc. @param radius px */
  dot(centre: Point, radius: number, colour: Colour): void {
    this.line(centre, centre, 2 * radius, colour);
  }

  /** A line with round ends. @param thickness px */
  line(from: Point, to: Point, thickness: number, colour: Colour): void {
    const { width, height } = this.#size;
    const reach = thickness / 2 + 1;
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const square = dx * dx + dy * dy;
    const top = Math.max(0, Math.floor(Math.min(from.y, to.y) - reach));
    const bottom = Math.min(height - 1, Math.ceil(Math.max(from.y, to.y) + reach));
    for (let row = top; row <= bottom; row++) {
      const [left, right] = spanOf(from, to, row + 0.5, reach);
      const last = Math.min(width - 1, Math.ceil(right));
      for (let column = Math.max(0, Math.floor(left)); column <= last; column++) {
        const x = column + 0.5 - from.x;
        const y = row + 0.5 - from.y;
        const along = square === 0 ? 0 : Math.min(1, Math.max(0, (x * dx + y * dy) / square));
        const acrossX = x - along * dx;
        const acrossY = y - along * dy;
        const distance = Math.sqrt(acrossX * acrossX + acrossY * acrossY);
        const cover = Math.min(1, thickness / 2 - distance + 0.5);
        if (cover > 0) this.#blend(row * width + column, colour, cover);
      }
    }
  }

  #blend(pixel: number, colour: Colour, cover: number): void {
    const at = pixel * 4;
    const below = (this.#pixels[at + 3]! / 255) * (1 - cover);
    const alpha = cover + below;
    for (let channel = 0; channel < 3; channel++) {
      this.#pixels[at + channel] = (colour[channel]! * cover + this.#pixels[at + channel]! * below) / alpha;
    }
    this.#pixels[at + 3] = Math.round(255 * alpha);
  }
}

/** Between which x a line can reach the pixels of a row. */
function spanOf(from: Point, to: Point, y: number, reach: number): [left: number, right: number] {
  const [left, right] = [Math.min(from.x, to.x), Math.max(from.x, to.x)];
  const slope = (to.x - from.x) / (to.y - from.y);
  // Level lines, and dots.
  if (!Number.isFinite(slope)) return [left - reach, right + reach];
  const [a, b] = [from.x + (y - reach - from.y) * slope, from.x + (y + reach - from.y) * slope];
  return [Math.max(left, Math.min(a, b)) - reach, Math.min(right, Math.max(a, b)) + reach];
}
