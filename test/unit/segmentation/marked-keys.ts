import { DinoError } from '#dino/errors.js';
import type { KeyFeatures, KeyMask } from '#dino/segmentation/key-features.js';

/** Keys of one number each way: a patch marked by a letter lies along that letter's axis, `.` along another. */
export function markedKeys(rows: string): KeyFeatures {
  const marks = rows.replaceAll(' ', '');
  const axes = [...new Set(marks)].sort();
  const keys = new Float32Array(marks.length * axes.length);
  [...marks].forEach((mark, patch) => (keys[patch * axes.length + axes.indexOf(mark)] = 1));
  const width = rows.indexOf(' ') === -1 ? rows.length : rows.indexOf(' ');
  return { keys, dimension: axes.length, grid: { height: marks.length / width, width } };
}

/** One direction for `#` and the opposite for `.`. */
export function opposedKeys(rows: string): KeyFeatures {
  const { grid } = markedKeys(rows);
  const keys = Float32Array.from(rows.replaceAll(' ', ''), (mark) => (mark === '#' ? 1 : -1));
  return { keys, dimension: 1, grid };
}

export function picture({ cells }: KeyMask, { grid }: KeyFeatures): string {
  const marks = Array.from(cells, (inside) => (inside === 1 ? '#' : '.')).join('');
  return marks.replace(new RegExp(`.{${grid.width}}(?=.)`, 'g'), '$& ');
}

/** What the caller is told. */
export function problem(work: () => unknown): DinoError {
  try {
    work();
  } catch (error) {
    if (error instanceof DinoError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
