/**
 * The least that an HTTP server can do for a small request: reads its JSON and answers with what standard input held, in
 * a process of its own: node answer-floor.js http|express. `express-adopted` makes its server as the service does.
 */
import { createServer } from 'node:http';
import process from 'node:process';
import { buffer, json } from 'node:stream/consumers';
import express from 'express';
import { createExpressServer } from '../../../dist/http/express-server.js';

const answer = await buffer(process.stdin);

function send(response) {
  response.setHeader('Content-Type', 'application/json; charset=utf-8');
  response.end(answer);
}

function application() {
  const app = express();
  app.disable('x-powered-by');
  app.use(express.json());
  app.post('/v1/collections/:collection/search', (_request, response) => send(response));
  return app;
}

const servers = {
  http: () => createServer((request, response) => void json(request).then(() => send(response))),
  express: () => createServer(application()),
  'express-adopted': () => createExpressServer(application()),
};
const server = servers[process.argv[2]]();
server.listen(0, '127.0.0.1', () =>
  process.stdout.write(`ready http://127.0.0.1:${server.address().port}\n`),
);
