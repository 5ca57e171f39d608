import type { Priority } from './caller.js';

/** Turns of interactive work, at most, before one of bulk work that waits. */
export const INTERACTIVE_TURNS = 8;

/**
 * Whose turn it is where work of both priorities waits: interactive work goes first, and after every
 * `INTERACTIVE_TURNS` turns of it bulk work has one, so that an import gets on under any load.
 */
export class Turns {
  #passedOver = 0;

  /** @param waits whether work of a priority waits; undefined is returned where there is none of either */
  next(waits: Readonly<Record<Priority, boolean>>): Priority | undefined {
    if (!waits.bulk) {
      this.#passedOver = 0;
      return waits.interactive ? 'interactive' : undefined;
    }
    if (waits.interactive && this.#passedOver < INTERACTIVE_TURNS) {
      this.#passedOver += 1;
      return 'interactive';
    }
    this.#passedOver = 0;
    return 'bulk';
  }
}
