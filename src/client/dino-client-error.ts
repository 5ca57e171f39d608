const PROBLEM_PREFIX = 'urn:dino:problem:';

/** Why a call failed; `message` is one line for people. */
export class DinoClientError extends Error {
  override name = 'DinoClientError';
  /** HTTP status; undefined where no answer came. */
  readonly status: number | undefined;
  /**
   * The problem's code, e.g. `not-found`; `unreachable` where no answer came, `unexpected-answer` where it is
   * none that a dino-server gives.
   */
  readonly code: string;
  /** What is wrong and what to do about it. */
  readonly detail: string;
  /** The server's name for the request, to be found in its log. */
  readonly requestId: string | undefined;
  /** Seconds after which the server wants to be asked again. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: string,
    detail: string,
    options: { status?: number; requestId?: string; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.status = options.status;
    this.requestId = options.requestId;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  /** Reads a refusal: an RFC 9457 problem, or whatever else came. */
  static fromAnswer(response: Response, body: unknown): DinoClientError {
    const { status, headers } = response;
    const rest = {
      status,
      requestId: headers.get('X-Request-Id') ?? undefined,
      retryAfterSeconds: secondsOf(headers.get('Retry-After')),
    };
    if (isProblem(body))
      return new DinoClientError(body.type.slice(PROBLEM_PREFIX.length), body.detail, rest);
    const detail = `${response.url} answered ${status}, but not as a dino-server does`;
    return new DinoClientError('unexpected-answer', detail, rest);
  }

  /** What was thrown instead of an answer: a failed connection, or a body that is not what it should be. */
  static fromFailure(url: string, cause: unknown): DinoClientError {
    if (cause instanceof SyntaxError) {
      return new DinoClientError('unexpected-answer', `${url} answered, but not as a dino-server does`, {
        cause,
      });
    }
    return new DinoClientError('unreachable', `${url} can't be reached: ${reasonOf(cause)}`, { cause });
  }

  /** Whether the server turned the call away for now without having done anything. */
  get isOverload(): boolean {
    return this.status === 429 || this.status === 503;
  }
}

function isProblem(body: unknown): body is { type: string; detail: string } {
  const { type, detail } = (body ?? {}) as { type?: unknown; detail?: unknown };
  return typeof type === 'string' && type.startsWith(PROBLEM_PREFIX) && typeof detail === 'string';
}

/** Retry-After is a number of seconds or a date. */
function secondsOf(header: string | null): number | undefined {
  if (header === null) return undefined;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}

/** fetch says "fetch failed"; the reason is in its causes. */
function reasonOf(error: unknown): string {
  let innermost = error;
  while (innermost instanceof Error && innermost.cause !== undefined) innermost = innermost.cause;
  const { message, code } = innermost as { message?: string; code?: string };
  return message || code || String(error);
}
