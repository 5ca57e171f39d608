/** Something that ends the command with one line on standard error. */
export class CommandError extends Error {
  override name = 'CommandError';
  /** 1: it was tried and failed; 2: it was asked for wrongly and nothing was tried; 130: a signal ended it. */
  readonly exitCode: number;

  constructor(message: string, options: { exitCode?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = options.exitCode ?? 1;
  }
}

/** Nobody reads standard output any more, as when it goes to `head`: the command ends without a word. */
export class OutputClosed extends Error {
  override name = 'OutputClosed';
}

/** A command that was given wrong arguments. */
export function usageError(message: string, cause?: unknown): CommandError {
  return new CommandError(message, { exitCode: 2, cause });
}
