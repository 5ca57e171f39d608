/** `queue`: waiting for a decoder or for the model. `inference`: from handing a batch to the model to its answer. */
export const PHASES = ['queue', 'decode', 'inference'] as const;
export type Phase = (typeof PHASES)[number];

interface Clock {
  running: number;
  since: number;
  ms: number;
}

/**
 * Where the time of one request went. A phase's time is that in which at least one of the request's images was in it:
 * so no phase is longer than the request, and those of several images overlap.
 */
export class Timings {
  readonly #clocks = new Map<Phase, Clock>();
  readonly #started: number;

  /** @param started when the request began, as `performance.now()` has it */
  constructor(started = performance.now()) {
    this.#started = started;
  }

  /** @returns what to call once, when the image leaves the phase */
  begin(phase: Phase): () => void {
    const clock = this.#clocks.get(phase) ?? { running: 0, since: 0, ms: 0 };
    this.#clocks.set(phase, clock);
    if (clock.running === 0) clock.since = performance.now();
    clock.running += 1;
    return () => {
      clock.running -= 1;
      if (clock.running === 0) clock.ms += performance.now() - clock.since;
    };
  }

  /**
   * The value of a `Server-Timing` header (https://www.w3.org/TR/server-timing/), in ms, with the time since the request
   * began as `total`; undefined where no image went through any phase.
   */
  toHeader(): string | undefined {
    if (this.#clocks.size === 0) return undefined;
    const metric = (name: string, ms: number) => `${name};dur=${ms.toFixed(2)}`;
    const metrics = PHASES.flatMap((phase) => {
      const clock = this.#clocks.get(phase);
      return clock === undefined ? [] : [metric(phase, clock.ms)];
    });
    return [...metrics, metric('total', performance.now() - this.#started)].join(', ');
  }
}
