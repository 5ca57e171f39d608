const FIRST_WAIT_MS = 250;
const MAX_WAIT_MS = 30_000;

/**
 * How long to wait before attempt `attempt + 2`: twice as long each time, or what the server asks for where that
 * is longer, and up to a quarter more, so that many clients do not come back at one moment.
 *
 * @param attempt 0 after the first refusal
 */
export function retryDelayMs(attempt: number, retryAfterSeconds = 0): number {
  const backoffMs = FIRST_WAIT_MS * 2 ** attempt;
  return Math.min(Math.max(backoffMs, retryAfterSeconds * 1000) * (1 + Math.random() / 4), MAX_WAIT_MS);
}

/** @throws the signal's reason as soon as it is aborted */
export function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(reasonOf(signal));
    const onAbort = () => {
      clearTimeout(timer);
      reject(reasonOf(signal!));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('aborted', { cause: signal.reason });
}
