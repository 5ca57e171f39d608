import express, { type NextFunction, type Request, type RequestHandler } from 'express';
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
export function readBody(limits: BodyLimits): RequestHandler {
  const json = express.json({ type: always, limit: limits.maxBodyBytes });
  const raw = express.raw({ type: always, limit: limits.maxImageBytes });
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
  return (request, response, next) => {
    const length = Number(request.headers['content-length'] ?? 0);
    if (length > limits.maxBodyBytes) {
      const detail = `The body has ${length} bytes, but ${limits.maxBodyBytes} are the limit.`;
      return next(new DinoError('payload-too-large', detail));
    }
    if (isRawImage(request)) return raw(request, response, andThen(takeImage, request, next));
    if (request.is('application/json')) return json(request, response, next);
    // Multipart bodies have no limit of their own in multer, only their parts have; see above.
    if (request.is('multipart')) return void form(request, response, andThen(takeForm, request, next));
    const hasBody = request.headers['transfer-encoding'] !== undefined || length > 0;
    next(hasBody ? notRead(request.headers['content-type']) : undefined);
  };
}

/** The parsers are not asked whether a body is theirs. */
const always = (): boolean => true;

function isRawImage(request: Request): boolean {
  const type = (request.headers['content-type'] ?? '').toLowerCase();
  return type.startsWith('image/') || type.startsWith('application/octet-stream');
}

function andThen(take: (request: Request) => void, request: Request, next: NextFunction): NextFunction {
  return (error?: unknown) => {
    if (error) return next(error);
    try {
      take(request);
    } catch (refused) {
      return next(refused);
    }
    next();
  };
}

/** @throws DinoError invalid-request where there are no bytes */
function takeImage(request: Request): void {
  const body: unknown = request.body;
  if (!Buffer.isBuffer(body) || body.length === 0) {
    throw new DinoError('invalid-request', 'The body is empty. Send the bytes of an image.');
  }
  request.uploads = [{ bytes: body, name: undefined }];
  request.body = undefined;
}

function takeForm(request: Request): void {
  const files = request.files as Express.Multer.File[];
  request.uploads = files.map((file) => ({ bytes: file.buffer, name: file.originalname }));
  const fields = request.body as Record<string, unknown>;
  // Express 5 computes `query` in a getter of its prototype: an own property takes its place.
  Object.defineProperty(request, 'query', { value: { ...request.query, ...fields }, configurable: true });
  request.body = undefined;
}

function notRead(type: string | undefined): DinoError {
  const detail =
    type === undefined ? 'The body has no Content-Type.' : `A body of type ${type} is not read here.`;
  return new DinoError(
    type === undefined ? 'invalid-request' : 'unsupported-image',
    `${detail} Use image/*, multipart/form-data or application/json.`,
  );
}
