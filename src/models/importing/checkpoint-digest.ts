import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256OfFile } from '../file-hash.js';

/**
 * What identifies the weights of several files: the SHA-256 of one alone; of more, that of the list that `sha256sum`
 * prints for them in order of name.
 */
export function combineDigests(files: readonly { readonly name: string; readonly sha256: string }[]): string {
  if (files.length === 1) return files[0]!.sha256;
  const sorted = [...files].sort((a, b) => (a.name < b.name ? -1 : 1));
  return createHash('sha256')
    .update(sorted.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join(''))
    .digest('hex');
}

/** SHA-256 of a checkpoint: of its file, or of the files of a Hugging Face folder that hold weights. */
export async function checkpointDigest(path: string, signal?: AbortSignal): Promise<string> {
  if (!(await stat(path)).isDirectory()) return sha256OfFile(path, { signal });
  const entries = await readdir(path);
  const safetensors = entries.filter((name) => name.endsWith('.safetensors'));
  const names = safetensors.length > 0 ? safetensors : entries.filter((name) => name.endsWith('.bin'));
  const files = [];
  for (const name of names) files.push({ name, sha256: await sha256OfFile(join(path, name), { signal }) });
  return combineDigests(files);
}
