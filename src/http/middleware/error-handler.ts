import { ValidateError } from '@tsoa/runtime';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import multer from 'multer';
import { DinoError, PROBLEMS } from '../../errors.js';
import type { Logger } from '../../logger.js';
import type { InvalidField, Problem } from '../dto/problem.dto.js';

/** Writes an error as RFC 9457 has it. `requestId` may be left out inside a batch. */
export function toProblem(error: DinoError, requestId: string, errors?: InvalidField[]): Problem {
  const { status, title } = PROBLEMS[error.code];
  return {
    type: `urn:dino:problem:${error.code}`,
    title,
    status,
    detail: error.message,
    instance: `urn:dino:request:${requestId}`,
    ...(errors === undefined ? {} : { errors }),
  };
}

export const noSuchPath: RequestHandler = (request, _response, next) => {
  next(new DinoError('not-found', `There is nothing at ${request.method} ${request.path}. See /docs.`));
};

/** Turns whatever was thrown into an answer; what nobody foresaw is logged whole and answered as a bare 500. */
export function errorHandler(logger: Logger): ErrorRequestHandler {
  return (thrown: unknown, request, response, next) => {
    if (response.headersSent) return next(thrown);
    if (request.caller.signal.aborted) {
      // Nobody reads this answer.
      response.destroy();
      return;
    }
    const { error, fields } = translate(thrown);
    if (error.code === 'internal')
      logger.error({ err: thrown, id: request.id, url: request.originalUrl }, 'request failed');
    if (error.retryAfterSeconds !== undefined)
      response.setHeader('Retry-After', String(error.retryAfterSeconds));
    if (error.code === 'unauthorized') response.setHeader('WWW-Authenticate', 'Bearer');
    response
      .status(error.status)
      .type('application/problem+json')
      .send(JSON.stringify(toProblem(error, request.id, fields)));
  };
}

/** body-parser's and the router's errors: a status and a machine-readable type. */
interface HttpError {
  status: number;
  type?: string;
  message: string;
  limit?: number;
}

function translate(thrown: unknown): { error: DinoError; fields?: InvalidField[] } {
  if (thrown instanceof DinoError) return { error: thrown };
  if (thrown instanceof ValidateError) {
    const fields = Object.entries(thrown.fields).map(([field, { message }]) => ({
      field,
      message: simplify(message),
    }));
    const detail = fields.map(({ field, message }) => `${field}: ${message}`).join('; ');
    return { error: new DinoError('invalid-request', detail || 'The request is not valid.'), fields };
  }
  if (thrown instanceof multer.MulterError) {
    const tooLarge =
      thrown.code === 'LIMIT_FILE_SIZE' ||
      thrown.code === 'LIMIT_FILE_COUNT' ||
      thrown.code === 'LIMIT_PART_COUNT';
    const where = thrown.field === undefined ? '' : ` (${thrown.field})`;
    return {
      error: new DinoError(tooLarge ? 'payload-too-large' : 'invalid-request', `${thrown.message}${where}.`, {
        cause: thrown,
      }),
    };
  }
  if (isHttpError(thrown)) {
    if (thrown.status === 413) {
      return {
        error: new DinoError('payload-too-large', `The body is larger than ${thrown.limit} bytes.`, {
          cause: thrown,
        }),
      };
    }
    if (thrown.type === 'entity.parse.failed') {
      return {
        error: new DinoError('invalid-request', `The body is not valid JSON: ${thrown.message}`, {
          cause: thrown,
        }),
      };
    }
    if (thrown.status >= 400 && thrown.status < 500) {
      return { error: new DinoError('invalid-request', thrown.message, { cause: thrown }) };
    }
  }
  if (thrown instanceof Error && /^(Multipart|Unexpected end of form|Malformed part)/.test(thrown.message)) {
    return {
      error: new DinoError('invalid-request', `The multipart form is not valid: ${thrown.message}.`, {
        cause: thrown,
      }),
    };
  }
  return {
    error: new DinoError('internal', 'Something went wrong here. Tell the operator the request id.', {
      cause: thrown,
    }),
  };
}

/** For a union tsoa lists, nested and quoted, why each member does not fit: no caller can read that. */
function simplify(message: string): string {
  return message.startsWith('Could not match') ? 'has none of the forms it may take; see /docs' : message;
}

function isHttpError(thrown: unknown): thrown is HttpError {
  return typeof thrown === 'object' && thrown !== null && typeof (thrown as HttpError).status === 'number';
}
