import compression from 'compression';
import type { RequestHandler } from 'express';

/** Pictures and archives are compressed already. */
const COMPRESSIBLE = /^(application\/(json|problem\+json|javascript)|text\/|image\/svg\+xml)/;

/**
 * Compresses JSON and text for clients that ask for it: with Brotli at a fast level or gzip, on libuv's threads.
 *
 * @param above size in bytes from which an answer is compressed, and any that is written in slices; 0: never
 * @returns no handler for never
 */
export function compress(above: number): RequestHandler[] {
  if (above === 0) return [];
  const handler = compression({
    threshold: above,
    filter: (_request, response) => COMPRESSIBLE.test(String(response.getHeader('Content-Type'))),
  });
  const compressWhereAsked: RequestHandler = (request, response, next) => {
    // Whoever doesn't ask pays nothing.
    if (request.headers['accept-encoding'] !== undefined) {
      handler(request, response, next);
    } else {
      if (request.method === 'GET') response.vary('Accept-Encoding');
      next();
    }
  };
  return [compressWhereAsked];
}
