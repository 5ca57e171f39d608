import { describe, expect, it } from 'vitest';
import { splitPngs } from '#dino/cli/png-stream.js';
import { drawScene } from '../../support/drawn-scenes.js';

const pictures = await Promise.all(
  [1, 2, 3].map(
    async (seed) =>
      (await drawScene({ className: 'disc-on-stripes', seed, width: 40, height: 30, format: 'png' })).bytes,
  ),
);

async function split(bytes: Buffer, pieceLength: number): Promise<Buffer[]> {
  const found: Buffer[] = [];
  const pieces = (async function* () {
    for (let at = 0; at < bytes.length; at += pieceLength) yield bytes.subarray(at, at + pieceLength);
  })();
  for await (const picture of splitPngs(pieces)) found.push(picture);
  return found;
}

describe('a stream of PNGs', () => {
  it.each([1, 7, 1000, 1_000_000])('is parted whatever its pieces are: %i bytes', async (length) => {
    expect(await split(Buffer.concat(pictures), length)).toEqual(pictures);
  });

  it('may be empty', async () => {
    expect(await split(Buffer.alloc(0), 10)).toEqual([]);
  });

  it('is refused where it ends within a picture, or holds something else', async () => {
    await expect(split(pictures[0]!.subarray(0, -1), 100)).rejects.toThrow('cut off');
    await expect(split(Buffer.from('this is a text'), 100)).rejects.toThrow('no PNG');
  });
});
