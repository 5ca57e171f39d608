import { Presets, SingleBar } from 'cli-progress';
import { formatBytes } from '../models/download/byte-size.js';

export interface ByteProgress {
  /** Says how far it is by now. */
  update(doneBytes: number): void;
  /** Prints a line of text without spoiling the display. */
  note(text: string): void;
  /** Ends the display; what is printed next starts on a new line. */
  stop(): void;
}

export interface ByteProgressOptions {
  /** What is going on, e.g. `downloading model.safetensors`. */
  readonly title: string;
  /** Where it starts, when an earlier run has done a part. */
  readonly doneBytes: number;
  /** undefined where nobody knows. */
  readonly totalBytes: number | undefined;
}

/** How often a line is printed where no bar can be drawn. */
const LINE_EVERY_MS = 5_000;

/** Shows the bytes that are done, their rate and the time left on standard error: a bar on a terminal, else lines. */
export function createByteProgress(options: ByteProgressOptions): ByteProgress {
  return process.stderr.isTTY ? new ByteBar(options) : new ByteLines(options);
}

class ByteBar implements ByteProgress {
  readonly #bar: SingleBar;
  readonly #rate: ByteRate;

  constructor(options: ByteProgressOptions) {
    const { title, doneBytes, totalBytes } = options;
    this.#rate = new ByteRate(options);
    this.#bar = new SingleBar(
      {
        format: totalBytes === undefined ? `${title} | {text}` : `${title} {bar} {percentage} % | {text}`,
        stream: process.stderr,
        hideCursor: true,
        clearOnComplete: true,
        barsize: 24,
      },
      Presets.shades_classic,
    );
    this.#bar.start(Math.max(totalBytes ?? 1, 1), totalBytes === undefined ? 0 : doneBytes, { text: '' });
  }

  update(doneBytes: number): void {
    this.#bar.update(doneBytes, { text: this.#rate.describe(doneBytes) });
  }

  note(text: string): void {
    // The bar draws itself anew over what follows the line.
    process.stderr.write(`\r\u001B[2K${text}\n`);
  }

  stop(): void {
    this.#bar.stop();
  }
}

class ByteLines implements ByteProgress {
  readonly #title: string;
  readonly #totalBytes: number | undefined;
  readonly #rate: ByteRate;
  #lastLine = performance.now();

  constructor(options: ByteProgressOptions) {
    this.#title = options.title;
    this.#totalBytes = options.totalBytes;
    this.#rate = new ByteRate(options);
  }

  update(doneBytes: number): void {
    const now = performance.now();
    if (now - this.#lastLine < LINE_EVERY_MS) return;
    this.#lastLine = now;
    const share =
      this.#totalBytes === undefined
        ? ''
        : `${Math.floor((doneBytes / Math.max(this.#totalBytes, 1)) * 100)} %, `;
    this.note(`${this.#title}: ${share}${this.#rate.describe(doneBytes)}`);
  }

  note(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  stop(): void {}
}

/** Rate and time left, over all of this run. */
class ByteRate {
  readonly #started = performance.now();
  readonly #startBytes: number;
  readonly #totalBytes: number | undefined;

  constructor({ doneBytes, totalBytes }: ByteProgressOptions) {
    this.#startBytes = doneBytes;
    this.#totalBytes = totalBytes;
  }

  describe(doneBytes: number): string {
    const seconds = Math.max((performance.now() - this.#started) / 1000, 1e-3);
    const rate = (doneBytes - this.#startBytes) / seconds;
    if (this.#totalBytes === undefined) return `${formatBytes(doneBytes)}, ${formatBytes(rate)}/s`;
    const left = rate > 0 ? `${Math.ceil((this.#totalBytes - doneBytes) / rate)} s left` : 'waiting';
    return `${formatBytes(doneBytes)} of ${formatBytes(this.#totalBytes)}, ${formatBytes(rate)}/s, ${left}`;
  }
}
