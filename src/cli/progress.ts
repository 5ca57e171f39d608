import { Presets, SingleBar } from 'cli-progress';

export interface Progress {
  /** Counts images that are done, and their share of the whole. */
  advance(images: number, weight: number): void;
  /** Ends the display; what is printed next starts on a new line. */
  stop(): void;
}

export interface ProgressOptions {
  /** What is going on, e.g. `importing`. */
  readonly title: string;
  /** The whole, in any unit, as `advance` counts its weights. */
  readonly total: number;
}

/** How often a line is printed where no bar can be drawn. */
const LINE_EVERY_MS = 5_000;

/** Shows progress on standard error: a bar on a terminal, a line now and then elsewhere. */
export function createProgress(options: ProgressOptions): Progress {
  return process.stderr.isTTY ? new ProgressBar(options) : new ProgressLines(options);
}

class ProgressBar implements Progress {
  readonly #bar: SingleBar;
  readonly #started = performance.now();
  #images = 0;

  constructor({ title, total }: ProgressOptions) {
    const format = `${title} {bar} {percentage} % | {images} images | {rate}/s | ETA {eta_formatted}`;
    this.#bar = new SingleBar(
      { format, stream: process.stderr, hideCursor: true, clearOnComplete: true, etaBuffer: 50 },
      Presets.shades_classic,
    );
    this.#bar.start(Math.max(total, 1), 0, { images: 0, rate: '-' });
  }

  advance(images: number, weight: number): void {
    this.#images += images;
    this.#bar.increment(weight, { images: this.#images, rate: rateSince(this.#started, this.#images) });
  }

  stop(): void {
    this.#bar.stop();
  }
}

class ProgressLines implements Progress {
  readonly #title: string;
  readonly #total: number;
  readonly #started = performance.now();
  #lastLine = this.#started;
  #images = 0;
  #done = 0;

  constructor({ title, total }: ProgressOptions) {
    this.#title = title;
    this.#total = Math.max(total, 1);
  }

  advance(images: number, weight: number): void {
    this.#images += images;
    this.#done += weight;
    const now = performance.now();
    if (now - this.#lastLine < LINE_EVERY_MS) return;
    this.#lastLine = now;
    const share = Math.min(this.#done / this.#total, 1);
    const leftSeconds = Math.round((((now - this.#started) / 1000) * (1 - share)) / Math.max(share, 1e-6));
    process.stderr.write(
      `${this.#title}: ${Math.floor(share * 100)} %, ${this.#images} images, ${rateSince(this.#started, this.#images)}/s, ${leftSeconds} s left\n`,
    );
  }

  stop(): void {}
}

function rateSince(started: number, images: number): string {
  return (images / Math.max((performance.now() - started) / 1000, 1e-3)).toFixed(1);
}
