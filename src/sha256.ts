import { webcrypto } from 'node:crypto';

/** SHA-256 in lower-case hex, computed on another thread: a large file would hold up this one. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes)).toString('hex');
}
