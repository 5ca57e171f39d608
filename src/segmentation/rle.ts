import { DinoError } from '../errors.js';
import { assertCellMask, cellEdges, type CellMask } from '../vision/grid-cover.js';

/** COCO's run-length encoding in its compressed form, as pycocotools reads and writes it. */
export interface CompressedRle {
  /** `[height, width]` in px. */
  readonly size: [height: number, width: number];
  readonly counts: string;
}

/**
 * Run lengths of a mask, uncompressed: column by column from the top left, beginning with the number
 * of pixels outside (0 where the first is inside), then inside, outside, and so on. They sum to width * height.
 * Cost: about width * grid.height steps, whatever the height in pixels.
 * Source: https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.h
 */
export function rleCounts(mask: CellMask): number[] {
  assertCellMask(mask);
  const { cells, grid, width, height } = mask;
  const columns = cellEdges(width, grid.width);
  const rows = cellEdges(height, grid.height);
  const counts: number[] = [];
  let isInside = false;
  let length = 0;
  const append = (value: boolean, pixels: number) => {
    if (pixels === 0) return;
    if (value !== isInside) {
      counts.push(length);
      isInside = value;
      length = 0;
    }
    length += pixels;
  };
  for (let column = 0; column < grid.width; column++) {
    // The runs of one column of pixels, which repeat over the cell's width.
    const runs: { value: boolean; pixels: number }[] = [];
    for (let row = 0; row < grid.height; row++) {
      const value = cells[row * grid.width + column] !== 0;
      const last = runs.at(-1);
      if (last?.value === value) last.pixels += rows[row + 1]! - rows[row]!;
      else runs.push({ value, pixels: rows[row + 1]! - rows[row]! });
    }
    for (let x = columns[column]!; x < columns[column + 1]!; x++) {
      for (const { value, pixels } of runs) append(value, pixels);
    }
  }
  counts.push(length);
  return counts;
}

/** COCO's compressed run-length encoding of a mask; see {@link rleCounts} for the cost. */
export function encodeRle(mask: CellMask): CompressedRle {
  return { size: [mask.height, mask.width], counts: compressCounts(rleCounts(mask)) };
}

/**
 * Packs run lengths into text: from the fourth on, each is the difference to the one two before; 5 bits a
 * character, lowest first, bit 5 set while more follow, plus 48.
 * Source: `rleToString` in https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c
 */
export function compressCounts(counts: readonly number[]): string {
  const codes: number[] = [];
  for (let index = 0; index < counts.length; index++) {
    let rest = index > 2 ? counts[index]! - counts[index - 2]! : counts[index]!;
    let hasMore = true;
    while (hasMore) {
      let code = rest & 0x1f;
      rest >>= 5;
      hasMore = code & 0x10 ? rest !== -1 : rest !== 0;
      if (hasMore) code |= 0x20;
      codes.push(code + 48);
    }
  }
  return Buffer.from(codes).toString('latin1');
}

/**
 * Reverses {@link compressCounts}.
 *
 * @throws DinoError `invalid-request` for text that no encoder writes
 */
export function decompressCounts(text: string): number[] {
  const counts: number[] = [];
  let at = 0;
  while (at < text.length) {
    let value = 0;
    let shift = 0;
    let hasMore = true;
    while (hasMore) {
      const code = text.charCodeAt(at++) - 48;
      // NaN, past the end of the text, is refused here too. 7 characters hold more than the 32 bits in use.
      if (!(code >= 0 && code < 64) || shift > 30)
        throw malformed('the text of its counts is cut off or not COCO RLE');
      value |= (code & 0x1f) << shift;
      shift += 5;
      hasMore = (code & 0x20) !== 0;
      if (!hasMore && code & 0x10 && shift < 32) value |= -1 << shift;
    }
    if (counts.length > 2) value += counts[counts.length - 2]!;
    if (value < 0) throw malformed('it holds a negative run');
    counts.push(value);
  }
  return counts;
}

/**
 * The pixels of a run-length encoded mask.
 *
 * @param rle as COCO writes it, compressed or not
 * @param options.maxPixels largest mask to unpack; default 50 million
 * @returns `height * width` bytes, row by row, 1 inside and 0 outside
 * @throws DinoError `invalid-request` when the runs don't fill the size; `payload-too-large` above `maxPixels`
 */
export function decodeRle(
  rle: { readonly size: readonly number[]; readonly counts: string | readonly number[] },
  options: { maxPixels?: number } = {},
): Uint8Array {
  const { maxPixels = 50_000_000 } = options;
  const [height, width] = rle.size;
  if (!isSide(height) || !isSide(width)) throw malformed('its size is not [height, width] in whole pixels');
  if (height * width > maxPixels) {
    throw new DinoError(
      'payload-too-large',
      `A mask of ${width} x ${height} px is more than ${maxPixels} pixels.`,
    );
  }
  const counts = typeof rle.counts === 'string' ? decompressCounts(rle.counts) : rle.counts;
  const areRuns = counts.every((count) => Number.isSafeInteger(count) && count >= 0);
  if (!areRuns || counts.reduce((sum, count) => sum + count, 0) !== height * width) {
    throw malformed(`its runs don't sum to ${height} x ${width} pixels`);
  }
  const pixels = new Uint8Array(height * width);
  let position = 0;
  counts.forEach((count, index) => {
    const end = position + count;
    if (index % 2 === 0) position = end;
    for (; position < end; position++)
      pixels[(position % height) * width + Math.floor(position / height)] = 1;
  });
  return pixels;
}

function isSide(value: number | undefined): value is number {
  return Number.isSafeInteger(value) && value! >= 1;
}

function malformed(what: string): DinoError {
  return new DinoError('invalid-request', `The run-length encoded mask is not valid: ${what}.`);
}
