/**
 * The closed set of problems a client can meet. `type` of a problem document is
 * `urn:dino:problem:<code>`; the table feeds the error handler and the specification alike.
 */
export const PROBLEMS = {
  'invalid-request': { status: 400, title: 'The request is not valid' },
  unauthorized: { status: 401, title: 'A valid API key is needed' },
  forbidden: { status: 403, title: 'This is not allowed' },
  'not-found': { status: 404, title: 'Not found' },
  conflict: { status: 409, title: 'The request conflicts with what is stored' },
  'payload-too-large': { status: 413, title: 'The payload is too large' },
  'unsupported-image': { status: 415, title: 'This is not an image format the service reads' },
  'unprocessable-image': { status: 422, title: 'The image is damaged' },
  overloaded: { status: 429, title: 'Too many requests at once' },
  internal: { status: 500, title: 'Internal error' },
  'not-ready': { status: 503, title: 'The service is not ready' },
  'insufficient-storage': { status: 507, title: "The service's disk is full" },
} as const;

export type ProblemCode = keyof typeof PROBLEMS;

/** An error with an answer: every failure a caller can do something about is one of these. */
export class DinoError extends Error {
  readonly code: ProblemCode;
  /** Seconds after which trying again makes sense; sent as `Retry-After`. */
  readonly retryAfterSeconds: number | undefined;

  /**
   * @param code which of the closed set of problems this is
   * @param detail what is wrong and what to do about it, in words for the caller
   */
  constructor(
    code: ProblemCode,
    detail: string,
    options: { cause?: unknown; retryAfterSeconds?: number } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'DinoError';
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get status(): number {
    return PROBLEMS[this.code].status;
  }
}
