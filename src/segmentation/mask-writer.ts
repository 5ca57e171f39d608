import { Piscina } from 'piscina';
import type { CellMask } from '../vision/grid-cover.js';
import type { MaskPicture } from '../vision/mask-paint.js';
import type { Ring } from './outline.js';
import type { CompressedRle } from './rle.js';
import write, { type MaskMeasures, type WritingTask, type Written } from './write-mask.js';

/** Masks of no more cells, such as those of patches, are written where they are: that takes a few milliseconds. */
const MOST_CELLS_HERE = 8192;

/**
 * Measures masks and writes them in the forms in which they are answered: large ones in a worker thread, which starts with the first
 * of them, so that the event loop goes on meanwhile. What waits is bounded by the requests that are in progress.
 */
export class MaskWriter {
  readonly #pool: Piscina<WritingTask, Written>;
  readonly #unfinished = new Set<Promise<unknown>>();

  constructor() {
    this.#pool = new Piscina<WritingTask, Written>({
      filename: new URL('./write-mask.js', import.meta.url).href,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: Infinity,
      concurrentTasksPerWorker: 1,
    });
  }

  async measures(mask: CellMask): Promise<MaskMeasures> {
    return (await this.#write({ form: 'measures', mask })) as MaskMeasures;
  }

  async runLengths(mask: CellMask): Promise<CompressedRle> {
    return (await this.#write({ form: 'rle', mask })) as CompressedRle;
  }

  /** The exact outline of the mask's pixels; see `outlineOf` for the rings' order. */
  async outline(mask: CellMask): Promise<Ring[]> {
    return (await this.#write({ form: 'polygon', mask })) as Ring[];
  }

  /** See `paintMask`. */
  async paint(mask: CellMask, picture: MaskPicture): Promise<Uint8Array> {
    return (await this.#write({ form: 'picture', mask, picture })) as Uint8Array;
  }

  /** Waits for what is running and waiting, then ends the thread. */
  async close(): Promise<void> {
    // Piscina's own close drops what waits (5.3.2).
    await Promise.allSettled(this.#unfinished);
    await this.#pool.destroy();
  }

  #write(task: WritingTask): Written | Promise<Written> {
    // An outline around the object has steps for each pixel, however few the cells are.
    const isOfPixels = task.form === 'picture' && task.picture === 'overlay';
    if (task.mask.cells.length <= MOST_CELLS_HERE && !isOfPixels) return write(task);
    const { cells, grid, width, height } = task.mask;
    const written = this.#pool.run({ ...task, mask: { cells, grid, width, height } });
    this.#unfinished.add(written);
    const forget = () => this.#unfinished.delete(written);
    written.then(forget, forget);
    return written;
  }
}
