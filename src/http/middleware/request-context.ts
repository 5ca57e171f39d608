import { randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';
import { Timings } from '../../timings.js';
import type { Logger } from '../../logger.js';
import type { Metrics } from '../../metrics.js';
import { priorityOf } from './priority.js';
import { sendTimings } from './server-timing.js';

declare module 'express-serve-static-core' {
  interface Request {
    /** Sent back as `X-Request-Id`; the client's own where it is harmless. */
    id: string;
  }
}

const HARMLESS_ID = /^[\w.:-]{1,128}$/;

/** Gives each request an id, a caller, a log line and a measured time. */
export function requestContext({ logger, metrics }: { logger: Logger; metrics: Metrics }): RequestHandler {
  return (request, response, next) => {
    const given = request.get('x-request-id');
    request.id = given !== undefined && HARMLESS_ID.test(given) ? given : randomUUID();
    response.setHeader('X-Request-Id', request.id);

    const gone = new AbortController();
    const timings = new Timings();
    request.caller = { signal: gone.signal, priority: priorityOf(request.get('priority')), timings };
    sendTimings(response, timings);
    const stop = metrics.httpSeconds.startTimer();
    response.on('close', () => {
      if (!response.writableFinished) gone.abort(new Error('the client has gone'));
      const route = (request.route as { path?: string } | undefined)?.path ?? 'none';
      const seconds = stop({ method: request.method, route, status: response.statusCode });
      logger.debug(
        {
          id: request.id,
          method: request.method,
          url: request.originalUrl,
          status: response.statusCode,
          seconds,
        },
        'request',
      );
    });
    next();
  };
}
