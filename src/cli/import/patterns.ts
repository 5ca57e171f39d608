import { existsSync } from 'node:fs';
import { glob, isDynamicPattern } from 'tinyglobby';
import { usageError } from '../command-error.js';

/**
 * Puts files in the place of patterns such as `photos/*.jpg`, in ascending order of name: for shells that don't, and for
 * patterns too long for a command line. What is there under a name is that, whatever characters it has.
 *
 * @throws CommandError (2) for a pattern that nothing matches
 */
export async function expandPatterns(paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map(async (path) => {
      if (existsSync(path) || !isDynamicPattern(path)) return [path];
      const files = await glob(path, { onlyFiles: true });
      if (files.length === 0) throw usageError(`${path}: nothing matches this pattern`);
      return files.sort();
    }),
  );
  return [...new Set(found.flat())];
}
