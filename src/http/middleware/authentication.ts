import { createHash, timingSafeEqual } from 'node:crypto';
import type { RequestHandler } from 'express';
import { DinoError } from '../../errors.js';

/** Asks for `Authorization: Bearer <key>` or `X-Api-Key: <key>`; with no keys configured everyone may pass. */
export function authentication(keys: readonly string[]): RequestHandler {
  const digests = keys.map(digest);
  return (request, _response, next) => {
    if (digests.length === 0) return next();
    const given = /^Bearer (.+)$/i.exec(request.get('authorization') ?? '')?.[1] ?? request.get('x-api-key');
    const found = given === undefined ? undefined : digest(given);
    // Digests have one length and are compared in constant time, each of them, whichever matches.
    const known = found !== undefined && digests.map((known) => timingSafeEqual(known, found)).some(Boolean);
    if (known) return next();
    next(
      new DinoError(
        'unauthorized',
        'Send one of the configured keys as "Authorization: Bearer <key>" or "X-Api-Key: <key>".',
      ),
    );
  };
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
