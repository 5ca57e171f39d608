import { DinoError } from '../errors.js';

/**
 * Does work on a collection once more where it met a conflict: between its first step and its last the collection may
 * have been re-embedded, or the alias may have come to stand for another.
 */
export async function againAfterChange<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DinoError) || error.code !== 'conflict') throw error;
    return work();
  }
}
