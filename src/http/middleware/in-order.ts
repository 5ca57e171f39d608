import type { RequestHandler } from 'express';

/** Handlers one after the other as a single one: the router's own step between two costs more than most of them. */
export function inOrder(handlers: readonly RequestHandler[]): RequestHandler {
  return (request, response, next) => {
    const call = (at: number): void => {
      const handler = handlers[at];
      if (handler === undefined) return next();
      try {
        // What a handler may return is a promise that never fails; errors come to `next`.
        void handler(request, response, (error?: unknown) => (error ? next(error) : call(at + 1)));
      } catch (error) {
        next(error);
      }
    };
    call(0);
  };
}
