import type { Request, Response } from 'express';
import type { Caller, Priority } from '../../caller.js';
import { Timings } from '../../timings.js';
import { priorityOf } from './priority.js';
import { sendTimings } from './server-timing.js';

/** The client of a request. Its signal and its timings are made when they are asked for: most answers need neither. */
export class RequestCaller implements Caller {
  readonly priority: Priority;
  readonly #response: Response;
  readonly #started = performance.now();
  #left = false;
  #gone: AbortController | undefined;
  #timings: Timings | undefined;

  constructor(request: Request, response: Response) {
    this.priority = priorityOf(request.get('priority'));
    this.#response = response;
  }

  get signal(): AbortSignal {
    if (this.#gone === undefined) {
      this.#gone = new AbortController();
      if (this.#left) this.leave();
    }
    return this.#gone.signal;
  }

  get timings(): Timings {
    if (this.#timings === undefined) {
      this.#timings = new Timings(this.#started);
      sendTimings(this.#response, this.#timings);
    }
    return this.#timings;
  }

  /** The connection has closed before the whole answer was sent. */
  leave(): void {
    this.#left = true;
    this.#gone?.abort(new Error('the client has gone'));
  }
}
