/** A checkpoint that cannot be used; the message is one clear sentence that says what to do. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}
