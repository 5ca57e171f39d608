/** A checkpoint that cannot be used; the message is one clear sentence that says what to do. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}

/** The bytes are not what their format says; `problem` continues "... is damaged: ". */
export function damaged(where: string, problem: string, cause?: unknown): CheckpointError {
  return new CheckpointError(
    `${where} is damaged: ${problem}. Download or copy it again.`,
    cause === undefined ? undefined : { cause },
  );
}

/** The file ends too early. */
export function cutOff(where: string, problem: string, cause?: unknown): CheckpointError {
  return new CheckpointError(
    `${where} is cut off: ${problem}. Download or copy it again.`,
    cause === undefined ? undefined : { cause },
  );
}

/** Text out of a file, fit for an error message: one line, printable, short. */
export function quote(text: string): string {
  const printable = text.replace(/[^\x20-\x7e]/g, '?');
  return printable.length > 120 ? `${printable.slice(0, 117)}...` : printable;
}
