/** A download that failed; the message is one clear sentence or two that say what to do. */
export class DownloadError extends Error {
  override readonly name = 'DownloadError';
  /** The status that the server answered with, where it answered. */
  readonly status?: number;

  constructor(message: string, options: { status?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = options.status;
  }
}

/** Something that may go better the next time: a connection that broke, a busy server. */
export class TransientError extends Error {
  override readonly name = 'TransientError';
  /** How long the server asks to be left alone. */
  readonly retryAfterMs?: number;

  constructor(message: string, options: { retryAfterMs?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs;
  }
}
