import type { Caller } from '../caller.js';
import { DinoError } from '../errors.js';
import type { Pixels } from '../vision/pixels.js';
import type { FeatureExtractor } from './feature-extractor.js';
import type { AskedFeature, Features } from './features.js';
import type { Places } from './places.js';

/**
 * Where a model is in its life. `available`: installed, and loaded on its first use. `failed`: it could not be loaded;
 * the next use tries again.
 */
export type ModelStatus = 'available' | 'loading' | 'ready' | 'unloading' | 'failed';

export interface OnDemandExtractorOptions {
  readonly name: string;
  /** Opens the model and warms it up. */
  readonly open: () => Promise<FeatureExtractor>;
  readonly places: Places;
}

/** An open model and how many requests use it. */
interface Loaded {
  readonly extractor: FeatureExtractor;
  uses: number;
  /** Takes no more requests; called when the last of them has gone. */
  onIdle: (() => void) | undefined;
  isLeaving: boolean;
}

/**
 * A model that is loaded by the first request, or when it is asked to, and unloaded when it is asked to, without an
 * error for anybody: an unloading waits for the requests inside, and those that come meanwhile wait for it and load
 * the model again. First requests that come together share one loading.
 */
export class OnDemandExtractor {
  readonly #options: OnDemandExtractorOptions;
  #loading: Promise<Loaded> | undefined;
  #loaded: Loaded | undefined;
  #unloading: Promise<void> | undefined;
  #failure: string | undefined;
  #isClosed = false;

  constructor(options: OnDemandExtractorOptions) {
    this.#options = options;
  }

  get status(): ModelStatus {
    if (this.#unloading !== undefined) return 'unloading';
    if (this.#loaded !== undefined) return 'ready';
    if (this.#loading !== undefined) return 'loading';
    return this.#failure === undefined ? 'available' : 'failed';
  }

  /** Why it could not be loaded, where it could not. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Images waiting for a process. */
  get queueLength(): number {
    return this.#loaded?.extractor.queueLength ?? 0;
  }

  /** Memory of the model's processes after their last batches. */
  get memoryBytes(): number {
    return this.#loaded?.extractor.memoryBytes ?? 0;
  }

  /**
   * Holds places for a request's images, see `Places.hold`, and keeps the model loaded while `work` decodes and
   * extracts them.
   *
   * @throws DinoError overloaded; internal when the model can't be loaded; not-found when it was removed
   */
  withPlaces<T>(count: number, work: () => Promise<T>): Promise<T> {
    return this.#options.places.hold(count, async () => {
      const loaded = await this.#enter();
      try {
        return await work();
      } finally {
        leave(loaded);
      }
    });
  }

  /** To be called inside `withPlaces`; see `FeatureExtractor.extract`. */
  extract(pixels: Pixels, names: readonly AskedFeature[], caller?: Caller): Promise<Features> {
    if (this.#loaded === undefined)
      throw new Error(`${this.#options.name} is not loaded: extract is for inside withPlaces`);
    return this.#loaded.extractor.extract(pixels, names, caller);
  }

  /** Loads and warms it up, unless it is ready. @throws DinoError internal, with the reason, when it can't be loaded */
  async load(): Promise<void> {
    leave(await this.#enter());
  }

  /** Waits for the requests that use it, then gives its memory back. */
  unload(): Promise<void> {
    const loading = this.#loading;
    if (loading === undefined) this.#failure = undefined;
    else this.#unloading ??= this.#retire(loading).finally(() => (this.#unloading = undefined));
    return this.#unloading ?? Promise.resolve();
  }

  /** Unloads it for good. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.unload();
  }

  async #enter(): Promise<Loaded> {
    for (;;) {
      if (this.#unloading !== undefined) await this.#unloading;
      if (this.#isClosed) {
        throw new DinoError(
          'not-found',
          `The model ${this.#options.name} was removed or replaced in the meantime.`,
        );
      }
      this.#loading ??= this.#open();
      const loaded = await this.#loading;
      if (loaded.isLeaving) continue;
      loaded.uses += 1;
      return loaded;
    }
  }

  async #open(): Promise<Loaded> {
    this.#failure = undefined;
    try {
      const extractor = await this.#options.open();
      this.#loaded = { extractor, uses: 0, onIdle: undefined, isLeaving: false };
      return this.#loaded;
    } catch (cause) {
      // Not remembered: the next use tries again.
      this.#loading = undefined;
      this.#failure = (cause as Error).message;
      const detail = `The model ${this.#options.name} can't be loaded: ${this.#failure}`;
      throw new DinoError('internal', detail, { cause });
    }
  }

  async #retire(loading: Promise<Loaded>): Promise<void> {
    const loaded = await loading.catch(() => undefined);
    if (loaded === undefined) return;
    loaded.isLeaving = true;
    this.#loading = undefined;
    if (loaded.uses > 0) await new Promise<void>((resolve) => (loaded.onIdle = resolve));
    await loaded.extractor.close();
    this.#loaded = undefined;
  }
}

function leave(loaded: Loaded): void {
  loaded.uses -= 1;
  if (loaded.uses === 0) loaded.onIdle?.();
}
