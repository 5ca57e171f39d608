import { Readable } from 'node:stream';
import type { Controller } from '@tsoa/runtime';
import type { Request } from 'express';
import { DinoError } from '../errors.js';

/** Whether the client would rather have a picture than JSON. */
export function wantsPng(request: Request): boolean {
  return request.accepts(['application/json', 'image/png']) === 'image/png';
}

/** Sends bytes as they are: tsoa pipes a stream and would write anything else as JSON. */
export function sendBytes(controller: Controller, bytes: Uint8Array, mediaType: string): Readable {
  controller.setHeader('Content-Type', mediaType);
  controller.setHeader('Content-Length', String(bytes.length));
  return Readable.from([bytes], { objectMode: false });
}

/** Reads an option that is JSON text, such as `filter` in a query string. @throws DinoError invalid-request */
export function parseJsonOption(name: string, text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DinoError('invalid-request', `${name} is not valid JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** Shortest numbers that still are the same float32 values. */
export function toNumbers(vector: Float32Array): number[] {
  return Array.from(vector, (value) => Number(value.toPrecision(9)));
}

/** A vector in the form that was asked for; undefined where there is none. */
export function encodeVector(vector: Float32Array | undefined, encoding: 'float' | 'base64' | undefined) {
  return vector !== undefined && encoding === 'base64' ? toBase64(vector) : vector;
}

/** Little-endian float32, as OpenAI's `encoding_format: base64` has it. */
export function toBase64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64');
}

/**
 * A vector of a request, in either form.
 *
 * @param name what it is called there
 * @throws DinoError invalid-request for text that is no base64 of whole float32 values
 */
export function decodeVector(vector: readonly number[] | string, name: string): Float32Array {
  if (typeof vector !== 'string') return Float32Array.from(vector);
  const decoded = fromBase64(vector);
  if (decoded === undefined)
    throw new DinoError('invalid-request', `${name} is no base64 of little-endian float32.`);
  return decoded;
}

/** The inverse of `toBase64`; undefined where the text is no base64 of whole float32 values. */
function fromBase64(text: string): Float32Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length % 4 !== 0 || bytes.toString('base64') !== text) return undefined;
  return new Float32Array(new Uint8Array(bytes).buffer);
}
