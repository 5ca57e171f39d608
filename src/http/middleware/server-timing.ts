import type { Response } from 'express';
import type { Timings } from '../../timings.js';

/** Sends the timings as `Server-Timing` with the answer's head, where the request had anything to do with the model. */
export function sendTimings(response: Response, timings: Timings): void {
  const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => Response;
  response.writeHead = (...args: unknown[]) => {
    const header = timings.toHeader();
    if (header !== undefined) response.setHeader('Server-Timing', header);
    return writeHead(...args);
  };
}
