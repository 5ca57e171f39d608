import { median } from './statistics.js';

/** How a mask and the truth share a photo, in pixels. */
export interface Shares {
  /** In the mask and in the object. */
  readonly both: number;
  readonly mask: number;
  readonly object: number;
  readonly all: number;
}

/** Of one mask, or their means over photos, 0..1. */
export interface Scores {
  /** Intersection over union. */
  readonly iou: number;
  /** F-beta with beta squared 0.3, as in salient object detection; a mask has one threshold, so it is the maximum. */
  readonly fBeta: number;
  /** Pixels that are rightly inside or outside. */
  readonly accuracy: number;
}

const BETA_SQUARED = 0.3;

export function scoresOf({ both, mask, object, all }: Shares): Scores {
  const either = mask + object - both;
  const [precision, recall] = [both / mask, both / object];
  return {
    iou: either === 0 ? 1 : both / either,
    fBeta: both === 0 ? 0 : ((1 + BETA_SQUARED) * precision * recall) / (BETA_SQUARED * precision + recall),
    accuracy: (all - either + both) / all,
  };
}

/** Shares of a mask of pixels. */
export function sharesOfPixels(pixels: Uint8Array, truth: Uint8Array): Shares {
  let [both, mask, object] = [0, 0, 0];
  pixels.forEach((inside, at) => {
    both += inside & truth[at]!;
    mask += inside;
    object += truth[at]!;
  });
  return { both, mask, object, all: pixels.length };
}

/** Scores and times by name, and their means. */
export class ScoreSheet {
  readonly #scores = new Map<string, Scores[]>();
  readonly #times = new Map<string, number[]>();

  note(name: string, shares: Shares): void {
    const list = this.#scores.get(name);
    if (list === undefined) this.#scores.set(name, [scoresOf(shares)]);
    else list.push(scoresOf(shares));
  }

  noteTime(name: string, milliseconds: number): void {
    const list = this.#times.get(name);
    if (list === undefined) this.#times.set(name, [milliseconds]);
    else list.push(milliseconds);
  }

  rows(): { name: string; scores: Scores }[] {
    return [...this.#scores].map(([name, list]) => ({
      name,
      scores: {
        iou: mean(list.map(({ iou }) => iou)),
        fBeta: mean(list.map(({ fBeta }) => fBeta)),
        accuracy: mean(list.map(({ accuracy }) => accuracy)),
      },
    }));
  }

  times(): { name: string; meanMs: number; medianMs: number }[] {
    return [...this.#times].map(([name, list]) => ({
      name,
      meanMs: mean(list),
      medianMs: median(list),
    }));
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
