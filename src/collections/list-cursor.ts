import { isPlainText, refuse } from './input-checks.js';

/** First character of every cursor's content: another kind of cursor later is told apart by it. */
const VERSION = '1';

/** An opaque cursor, base64url, for the page that begins after the image `id`. */
export function encodeCursor(id: string): string {
  return Buffer.from(VERSION + id, 'utf8').toString('base64url');
}

/**
 * @returns the id after which the page begins
 * @throws invalid-request when `cursor` is not one of `encodeCursor`'s
 */
export function decodeCursor(cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  const id = text.slice(VERSION.length);
  // Decoding is lenient about foreign characters and broken UTF-8; a cursor of ours survives the way back.
  if (!text.startsWith(VERSION) || id === '' || !isPlainText(id) || encodeCursor(id) !== cursor) {
    refuse('The cursor is not valid; use the nextCursor of the page before, or none for the first page.');
  }
  return id;
}
