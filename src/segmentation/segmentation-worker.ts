import { cosegment, type Cosegmentation, type CosegmentOptions } from './cosegment.js';
import { deepSpectralMasks, type DeepSpectralOptions } from './deep-spectral.js';
import type { KeyMask } from './key-features.js';
import { lostMasks, type LostOptions } from './lost.js';
import { maskCutMasks, type MaskCutOptions } from './maskcut.js';
import { boxMasks, pointMasks, type BoxOptions, type PointOptions } from './prompted.js';
import { refineMasks, type RefinedMask, type RefineOptions } from './refine.js';
import { tokenCutMasks, type TokenCutOptions } from './tokencut.js';

/** What the main thread asks of the worker: plain data, so that it can cross. */
export type SegmentationTask =
  | ({ readonly method: 'tokencut' } & TokenCutOptions)
  | ({ readonly method: 'lost' } & LostOptions)
  | ({ readonly method: 'maskcut' } & MaskCutOptions)
  | ({ readonly method: 'deep-spectral' } & DeepSpectralOptions)
  | ({ readonly method: 'point' } & PointOptions)
  | ({ readonly method: 'box' } & BoxOptions);

export type RefinementTask = { readonly method: 'refine' } & RefineOptions;
export type CosegmentationTask = { readonly method: 'cosegment' } & CosegmentOptions;
export type Task = SegmentationTask | RefinementTask | CosegmentationTask;
export type Answer = KeyMask[] | RefinedMask[] | Cosegmentation;

/** Masks of one image, or of several. All of these compute without a pause for long: that is why this is a worker. */
export default function work(task: Task): Answer {
  switch (task.method) {
    case 'tokencut':
      return tokenCutMasks(task);
    case 'lost':
      return lostMasks(task);
    case 'maskcut':
      return maskCutMasks(task);
    case 'deep-spectral':
      return deepSpectralMasks(task);
    case 'point':
      return pointMasks(task);
    case 'box':
      return boxMasks(task);
    case 'refine':
      return refineMasks(task);
    case 'cosegment':
      return cosegment(task);
  }
}
