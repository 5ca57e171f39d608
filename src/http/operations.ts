import { fileURLToPath } from 'node:url';
import { Router } from 'express';
import type { AppParts } from './app-parts.js';
import { DinoError } from '../errors.js';

/** The specification, at the root of the project beside `dist/`. */
const SPECIFICATION = fileURLToPath(new URL('../../openapi/openapi.json', import.meta.url));

/** What operators and tools ask: alive, ready, measured, described. */
export function operationsRouter({ lifecycle, metrics }: AppParts): Router {
  const router = Router();
  router.get('/healthz', (_request, response) => {
    response.json({ status: 'alive' });
  });
  router.get('/readyz', (_request, response, next) => {
    if (lifecycle.isReady) response.json({ status: 'ready' });
    else next(new DinoError('not-ready', `The service is ${lifecycle.state}.`, { retryAfterSeconds: 1 }));
  });
  router.get('/metrics', async (_request, response) => {
    response.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
  router.get('/openapi.json', (_request, response) => {
    response.sendFile(SPECIFICATION);
  });
  return router;
}
