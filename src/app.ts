import express, { type Express } from 'express';
import type { AppParts } from './http/app-parts.js';
import { createControllers } from './http/controllers.js';
import { RegisterRoutes } from './http/generated/routes.js';
import { CONTROLLERS } from './http/ioc.js';
import { admission } from './http/middleware/admission.js';
import { authentication } from './http/middleware/authentication.js';
import { cacheHeaders } from './http/middleware/cache-headers.js';
import { compress } from './http/middleware/compress.js';
import { errorHandler, noSuchPath } from './http/middleware/error-handler.js';
import { inOrder } from './http/middleware/in-order.js';
import { readBody } from './http/middleware/request-body.js';
import { requestContext } from './http/middleware/request-context.js';
import { securityHeaders } from './http/middleware/security-headers.js';
import { operationsRouter } from './http/operations.js';
import { pagesRouter } from './http/pages.js';

/** The HTTP application; it never listens. A request goes through from top to bottom. */
export function createApp(parts: AppParts): Express {
  const { config, logger, metrics } = parts;
  const app = express();
  app.disable('x-powered-by');
  app.locals[CONTROLLERS] = createControllers(parts);

  app.use(
    inOrder([requestContext({ logger, metrics }), securityHeaders(), ...compress(config.compressAbove)]),
  );
  app.use(
    '/v1',
    inOrder([
      cacheHeaders,
      authentication(config.apiKeys),
      admission({ maxRequests: config.maxRequests, metrics }),
      readBody(config),
    ]),
  );
  RegisterRoutes(app);
  app.use(operationsRouter(parts));
  app.use(pagesRouter());
  app.use(noSuchPath);
  app.use(errorHandler(logger));
  return app;
}
