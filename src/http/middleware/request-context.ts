import { randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';
import type { Logger } from '../../logger.js';
import type { Metrics } from '../../metrics.js';
import { RequestCaller } from './request-caller.js';

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

    const caller = new RequestCaller(request, response);
    request.caller = caller;
    const started = performance.now();
    response.on('close', () => {
      if (!response.writableFinished) caller.leave();
      const route = (request.route as { path?: string } | undefined)?.path ?? 'none';
      const seconds = (performance.now() - started) / 1000;
      metrics.httpSeconds.observe({ method: request.method, route, status: response.statusCode }, seconds);
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
