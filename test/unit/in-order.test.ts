import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { describe, expect, it } from 'vitest';
import { inOrder } from '#dino/http/middleware/in-order.js';

/** @returns the names of the handlers that were called, and what came to the handler's own `next`, in order */
function run(handlers: RequestHandler[], seen: unknown[]): unknown[] {
  const next = ((error?: unknown) => seen.push(['next', error])) as NextFunction;
  void inOrder(handlers)({} as Request, {} as Response, next);
  return seen;
}

describe('handlers in order', () => {
  it('are called one after the other, and then the next', () => {
    const seen: unknown[] = [];
    const handler =
      (name: string): RequestHandler =>
      (_request, _response, next) => {
        seen.push(name);
        next();
      };
    expect(run([handler('a'), handler('b')], seen)).toEqual(['a', 'b', ['next', undefined]]);
  });

  it('stop at the first that answers, fails or throws', () => {
    const error = new Error('no');
    const never: RequestHandler = () => expect.unreachable();
    expect(run([() => undefined, never], [])).toEqual([]);
    expect(run([(_request, _response, next) => next(error), never], [])).toEqual([['next', error]]);
    const thrower: RequestHandler = () => {
      throw error;
    };
    expect(run([(_request, _response, next) => next(), thrower, never], [])).toEqual([['next', error]]);
  });
});
