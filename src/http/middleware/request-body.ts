import type { IncomingMessage } from 'node:http';
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import multer from 'multer';
import { DinoError } from '../../errors.js';

export interface BodyLimits {
  readonly maxBodyBytes: number;
  readonly maxImageBytes: number;
  readonly maxImagesPerRequest: number;
}

/**
 * Brings every accepted form of body into one: JSON stays in `request.body`; files, raw or multipart, go to
 * `request.uploads`; a multipart form's text fields join the query, where a raw body's options are too. So a
 * controller sees options and images, and not how they came.
 */
export function readBody(limits: BodyLimits): RequestHandler[] {
  const json = express.json({ limit: limits.maxBodyBytes });
  const raw = express.raw({ type: isRawImage, limit: limits.maxImageBytes });
  const form = multer({
    storage: multer.memoryStorage(),
    limits: {
      fileSize: limits.maxImageBytes,
      files: limits.maxImagesPerRequest,
      fields: 32,
      fieldSize: 1024 * 1024,
      fieldNameSize: 100,
      parts: limits.maxImagesPerRequest + 32,
      headerPairs: 32,
      fieldNestingDepth: 0,
    },
  }).any();
  return [limitLength(limits.maxBodyBytes), json, raw, form, arrange];
}

function isRawImage(request: IncomingMessage): boolean {
  const type = (request.headers['content-type'] ?? '').toLowerCase();
  return type.startsWith('image/') || type.startsWith('application/octet-stream');
}

/** Multipart bodies have no limit of their own in multer, only their parts have. */
function limitLength(maxBytes: number): RequestHandler {
  return (request, _response, next) => {
    const length = Number(request.headers['content-length'] ?? 0);
    if (length > maxBytes) {
      next(
        new DinoError('payload-too-large', `The body has ${length} bytes, but ${maxBytes} are the limit.`),
      );
    } else {
      next();
    }
  };
}

function arrange(request: Request, _response: Response, next: NextFunction): void {
  const hasBody =
    request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
  const type = request.headers['content-type'];
  if (Array.isArray(request.files)) {
    request.uploads = request.files.map((file) => ({ bytes: file.buffer, name: file.originalname }));
    const fields = request.body as Record<string, unknown>;
    // Express 5 computes `query` in a getter of its prototype: an own property takes its place.
    Object.defineProperty(request, 'query', { value: { ...request.query, ...fields }, configurable: true });
    request.body = undefined;
  } else if (isRawImage(request)) {
    if (!Buffer.isBuffer(request.body) || request.body.length === 0) {
      return next(new DinoError('invalid-request', 'The body is empty. Send the bytes of an image.'));
    }
    request.uploads = [{ bytes: request.body, name: undefined }];
    request.body = undefined;
  } else if (hasBody && type === undefined) {
    return next(
      new DinoError(
        'invalid-request',
        'The body has no Content-Type. Use image/*, multipart/form-data or application/json.',
      ),
    );
  } else if (hasBody && !request.is('application/json')) {
    const detail = `A body of type ${type} is not read here. Use image/*, multipart/form-data or application/json.`;
    return next(new DinoError('unsupported-image', detail));
  }
  next();
}
