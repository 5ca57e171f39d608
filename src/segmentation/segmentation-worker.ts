import { lostMasks, type LostOptions } from './lost.js';
import type { KeyMask } from './key-features.js';
import { tokenCutMasks, type TokenCutOptions } from './tokencut.js';

/** What the main thread asks of the worker: plain data, so that it can cross. */
export type SegmentationTask =
  ({ readonly method: 'tokencut' } & TokenCutOptions) | ({ readonly method: 'lost' } & LostOptions);

/** Masks of one image. Both methods compute without a pause for long: that is why this is a worker. */
export default function findMasks(task: SegmentationTask): KeyMask[] {
  switch (task.method) {
    case 'tokencut':
      return tokenCutMasks(task);
    case 'lost':
      return lostMasks(task);
  }
}
