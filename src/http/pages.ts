import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import express, { Router } from 'express';

// Found and not imported: its entry would run a megabyte of script that is for browsers.
const SWAGGER_UI = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
const WEB = fileURLToPath(new URL('../web', import.meta.url));

/** Points Swagger UI's bundled page at our specification. */
const SWAGGER_INITIALIZER = `window.onload = () => {
  window.ui = SwaggerUIBundle({
    url: '/openapi.json',
    dom_id: '#swagger-ui',
    deepLinking: true,
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    layout: 'StandaloneLayout',
  });
};
`;

/** What people look at: the page at `/` and Swagger UI at `/docs`. */
export function pagesRouter(): Router {
  const router = Router();
  router.get('/docs', (request, response, next) => {
    // Swagger UI's files are named relative to the folder.
    if (request.path.endsWith('/')) next();
    else response.redirect(301, '/docs/');
  });
  router.get('/docs/swagger-initializer.js', (_request, response) => {
    response.type('text/javascript').send(SWAGGER_INITIALIZER);
  });
  router.use('/docs', express.static(SWAGGER_UI));
  router.use('/', express.static(WEB));
  return router;
}
