/** A model that can't be installed; the message is one clear sentence or two that say what to do. */
export class InstallError extends Error {
  override readonly name = 'InstallError';
}
