import { Readable } from 'node:stream';
import type { Response } from 'express';
import { setImmediate } from 'node:timers/promises';
import type { Controller } from '@tsoa/runtime';
import { toNumbers } from './responses.js';

/** Values up to which an answer without typed arrays is written at once. */
const FEW = 4096;

/** Characters after which the writer lets other requests go on. */
const SLICE = 1 << 16;

/** Numbers written in one go. */
const RUN = 1024;

/**
 * Sends an answer that may hold many numbers: what `JSON.stringify` would make of it, with every `Float32Array` as a
 * list of numbers. A small one goes at once; a large one is written in slices, so that the event loop goes on meanwhile.
 */
export function sendJson<Answer>(controller: Controller, answer: NumberRows<Answer>): Answer {
  if (valuesLeft(answer, FEW) > 0) return sendJsonText(controller, JSON.stringify(answer));
  return send(controller, Readable.from(slices(answer), { objectMode: false }));
}

/** Sends an answer that is JSON text already. */
export function sendJsonText<Answer>(controller: Controller, text: string): Answer {
  return send(controller, new WholeText(text));
}

/** tsoa takes the JSON schema from the return type, and pipes a stream. */
function send<Answer>(controller: Controller, body: Readable | WholeText): Answer {
  controller.setHeader('Content-Type', 'application/json; charset=utf-8');
  return body as unknown as Answer;
}

/** What tsoa takes for a stream, without the cost of one. */
class WholeText {
  readonly readable = true;

  constructor(private readonly text: string) {}

  _read(): void {
    throw new Error('a text that is there is piped, not read');
  }

  pipe(response: Response): void {
    // What was asked for by POST is not asked for again: no ETag, which `send` would compute.
    if (response.req.method === 'GET') response.send(this.text);
    else response.end(this.text);
  }
}

/** How many of `allowed` values are left after those in `value`; 0 where there are more, or a typed array. */
function valuesLeft(value: unknown, allowed: number): number {
  if (typeof value !== 'object' || value === null) return allowed - 1;
  if (value instanceof Float32Array) return 0;
  let left = allowed;
  for (const element of Object.values(value)) {
    left = valuesLeft(element, left);
    if (left <= 0) return 0;
  }
  return left;
}

/** An answer whose lists of numbers may still be typed arrays. */
export type NumberRows<Answer> = Answer extends number[]
  ? Answer | Float32Array
  : Answer extends object
    ? { readonly [Key in keyof Answer]: NumberRows<Answer[Key]> }
    : Answer;

async function* slices(answer: unknown): AsyncGenerator<string, void> {
  let slice = '';
  for (const text of pieces(answer)) {
    slice += text;
    if (slice.length < SLICE) continue;
    yield slice;
    slice = '';
    await setImmediate();
  }
  yield slice;
}

function* pieces(value: unknown): Generator<string, void> {
  if (value instanceof Float32Array) {
    yield '[';
    for (let start = 0; start < value.length; start += RUN) {
      yield (start > 0 ? ',' : '') + toNumbers(value.subarray(start, start + RUN)).join();
    }
    yield ']';
  } else if (Array.isArray(value)) {
    yield '[';
    for (const [index, element] of value.entries()) {
      if (index > 0) yield ',';
      yield* pieces(element);
    }
    yield ']';
  } else if (typeof value === 'object' && value !== null) {
    let separator = '';
    yield '{';
    for (const [key, element] of Object.entries(value)) {
      if (element === undefined) continue;
      yield `${separator}${JSON.stringify(key)}:`;
      yield* pieces(element);
      separator = ',';
    }
    yield '}';
  } else {
    yield JSON.stringify(value);
  }
}
