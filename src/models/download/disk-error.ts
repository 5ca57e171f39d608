import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { formatBytes } from './byte-size.js';

/** What a full or closed disk means for who runs the command; undefined for any other error. */
export function explainDiskError(error: unknown, path: string): string | undefined {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return `There is no space left for ${path}. Free some and run the same command again.`;
    case 'EFBIG':
      return `${path} gets larger than the file system or its limits allow.`;
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
      return `${path} may not be written (${(error as NodeJS.ErrnoException).code}). Use another folder with --data-dir.`;
    default:
      return undefined;
  }
}

/** @returns a sentence when `bytes` more don't fit beside a file; undefined when they do or nobody knows */
export async function lackOfSpace(path: string, bytes: number): Promise<string | undefined> {
  try {
    const { bavail, bsize } = await statfs(dirname(path));
    const free = bavail * bsize;
    if (free >= bytes) return undefined;
    return `${path} takes ${formatBytes(bytes)} more, and ${formatBytes(free)} are free there. Free some, or use another folder with --data-dir.`;
  } catch {
    return undefined;
  }
}
