import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

/**
 * SHA-256 of a file, in hexadecimal.
 *
 * @param onBytes how many bytes have been read since the last call
 * @throws Error with a `code` when it can't be read
 */
export async function sha256OfFile(
  path: string,
  { onBytes, signal }: { onBytes?: (bytes: number) => void; signal?: AbortSignal } = {},
): Promise<string> {
  const hash = createHash('sha256');
  const count = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      onBytes?.(chunk.length);
      yield chunk;
    }
  };
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), count, hash, { signal });
  return hash.digest('hex');
}
