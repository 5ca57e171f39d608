import { DinoError } from '../errors.js';

/** Bounds what is in progress over all models: each image has a place from its decoding to its features. */
export class Places {
  readonly #limit: number;
  readonly #onRefused: (() => void) | undefined;
  #taken = 0;

  /**
   * @param limit images that have a place before new ones are refused
   * @param onRefused called for each request that is
   */
  constructor(limit: number, onRefused?: () => void) {
    this.#limit = limit;
    this.#onRefused = onRefused;
  }

  /**
   * Holds places for all images of a request, or none, while `work` decodes and submits them. So a batch is not let
   * in by halves, and what waits is bounded before it is decoded.
   *
   * @throws DinoError overloaded when there are not as many places
   */
  async hold<T>(count: number, work: () => Promise<T>): Promise<T> {
    if (this.#taken + count > this.#limit) {
      this.#onRefused?.();
      const detail = `${this.#taken} images are in progress already. Try again in a moment, or send fewer at once.`;
      throw new DinoError('overloaded', detail, { retryAfterSeconds: 1 });
    }
    this.#taken += count;
    try {
      return await work();
    } finally {
      this.#taken -= count;
    }
  }
}
