import type { Controller } from '@tsoa/runtime';
import type { Request } from 'express';
import type { Readable } from 'node:stream';

/** What a method returns for an answer without a body; tsoa takes the specification from its return type. */
export const NO_BODY = undefined as unknown as Readable;

/**
 * Sets the answer's ETag. Where the client has that very version already, the answer is a 304 and `NO_BODY` is to be
 * returned.
 *
 * @param tag identifies the bytes of the answer; without quotes
 */
export function isNotModified(controller: Controller, request: Request, tag: string): boolean {
  const etag = `"${tag}"`;
  controller.setHeader('ETag', etag);
  // Express compares as RFC 9110, section 13.1.2, has it, with the ETag that is set on the answer.
  request.res!.setHeader('ETag', etag);
  if (!request.fresh) return false;
  controller.setStatus(304);
  return true;
}
