import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { Controller } from '@tsoa/runtime';
import { toNumbers } from './responses.js';

/** Characters after which the writer lets other requests go on. */
const SLICE = 1 << 16;

/** Numbers written in one go. */
const RUN = 1024;

/**
 * Sends an answer that holds many numbers: what `JSON.stringify` would make of it, with every `Float32Array` as a
 * list of numbers, written in slices so that the event loop goes on meanwhile.
 */
export function sendJson<Answer>(controller: Controller, answer: NumberRows<Answer>): Answer {
  controller.setHeader('Content-Type', 'application/json; charset=utf-8');
  // tsoa takes the JSON schema from the return type, and pipes a stream.
  return Readable.from(slices(answer), { objectMode: false }) as unknown as Answer;
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
