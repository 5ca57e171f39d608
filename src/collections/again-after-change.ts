import { DinoError } from '../errors.js';

/**
 * Does work on a collection once more where it met a conflict or missed something: between its first step and its last
 * the collection may have been re-embedded, or deleted after its alias came to stand for another.
 */
export async function againAfterChange<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DinoError) || !['conflict', 'not-found'].includes(error.code)) throw error;
    return work();
  }
}
