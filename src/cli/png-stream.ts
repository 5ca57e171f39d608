const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

/** Bytes of a chunk besides its data: length, name, checksum. */
const CHUNK_FRAME = 12;

/**
 * Parts a stream of PNGs that follow one another, by the lengths that their chunks state.
 *
 * @throws Error where something else comes
 */
export async function* splitPngs(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void> {
  let waiting: Buffer = Buffer.alloc(0);
  /** How far the first picture has been walked through. */
  let at = 0;
  for await (const part of bytes) {
    waiting = Buffer.concat([waiting, part]);
    for (;;) {
      if (at === 0) {
        if (waiting.length < SIGNATURE.length) break;
        if (!waiting.subarray(0, SIGNATURE.length).equals(SIGNATURE)) throw new Error('this is no PNG');
        at = SIGNATURE.length;
      }
      if (waiting.length < at + CHUNK_FRAME) break;
      const end = at + CHUNK_FRAME + waiting.readUInt32BE(at);
      if (waiting.length < end) break;
      const isLast = waiting.toString('latin1', at + 4, at + 8) === 'IEND';
      at = end;
      if (!isLast) continue;
      yield Buffer.from(waiting.subarray(0, at));
      waiting = waiting.subarray(at);
      at = 0;
    }
  }
  if (waiting.length > 0) throw new Error('the last PNG is cut off');
}
