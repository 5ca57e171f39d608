import type { RequestHandler } from 'express';
import { DinoError } from '../../errors.js';
import type { Metrics } from '../../metrics.js';

/**
 * The door: at most `maxRequests` are inside at once, the rest is answered 429 before its body is read. So memory
 * is bounded by the number of places and not by the number of callers.
 */
export function admission({
  maxRequests,
  metrics,
}: {
  maxRequests: number;
  metrics: Metrics;
}): RequestHandler {
  let inside = 0;
  metrics.observeRequestsInProgress(() => inside);
  return (_request, response, next) => {
    if (inside >= maxRequests) {
      metrics.rejected.inc({ reason: 'requests' });
      next(
        new DinoError('overloaded', `${inside} requests are in progress already. Try again in a moment.`, {
          retryAfterSeconds: 1,
        }),
      );
      return;
    }
    inside += 1;
    response.on('close', () => {
      inside -= 1;
    });
    next();
  };
}
