import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ZodType } from 'zod';
import { writeWhole } from './write-whole.js';

/**
 * What was measured before, or is measured now and kept for the next start. What can't be kept, or read again, only costs
 * the time of measuring.
 *
 * @param key everything that the outcome depends on
 * @param options.isWhole whether an outcome may be kept; default: each
 */
export async function keptMeasurement<T>(
  key: readonly string[],
  options: {
    /** Folder for the outcomes; made when it isn't there. */
    readonly folder: string;
    readonly schema: ZodType<T>;
    readonly measure: () => Promise<T>;
    readonly isWhole?: (outcome: T) => boolean;
  },
): Promise<T> {
  const { folder, schema, measure, isWhole = () => true } = options;
  const path = join(folder, `${createHash('sha256').update(key.join('\n')).digest('hex')}.json`);
  const kept = await readFile(path, 'utf8')
    .then((text) => schema.parse(JSON.parse(text)))
    .catch(() => undefined);
  if (kept !== undefined) return kept;
  const outcome = await measure();
  if (isWhole(outcome)) await writeWhole(path, JSON.stringify(outcome)).catch(() => undefined);
  return outcome;
}
