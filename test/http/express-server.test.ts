import { once } from 'node:events';
import { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { expect, test } from 'vitest';
import { createExpressServer } from '#dino/http/express-server.js';

test('requests and answers are born with what Express would make of them', async () => {
  const app = express();
  app.get('/:name', (request, response) => {
    response.json({ name: request.params.name, host: request.get('host') !== undefined });
  });
  const server = createExpressServer(app).listen(0, '127.0.0.1');
  const born: boolean[] = [];
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    born.push(
      Object.getPrototypeOf(request) === app.request && Object.getPrototypeOf(response) === app.response,
    );
    born.push(request instanceof IncomingMessage && response instanceof ServerResponse);
    born.push((request as express.Request).app === app && (response as express.Response).app === app);
  });
  try {
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const answer = await fetch(`http://127.0.0.1:${port}/a?b=c`);
    expect(await answer.json()).toEqual({ name: 'a', host: true });
    expect(born).toEqual([true, true, true]);
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
