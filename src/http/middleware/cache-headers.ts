import type { RequestHandler } from 'express';

/**
 * What caches may do with answers under `/v1`. An answer is for whoever has the key, so only the caller's own cache keeps
 * it, apart for each key and encoding; and since a name may come to stand for something else, it asks again each time,
 * with `If-None-Match`.
 */
export const cacheHeaders: RequestHandler = (request, response, next) => {
  if (request.method === 'GET' || request.method === 'HEAD') {
    response.setHeader('Cache-Control', 'private, no-cache');
    response.setHeader('Vary', 'Authorization, X-Api-Key, Accept-Encoding');
  }
  next();
};
