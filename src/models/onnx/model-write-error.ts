/** A model that could not be written to the disk; the message says what to do. */
export class ModelWriteError extends Error {
  override readonly name = 'ModelWriteError';
}
