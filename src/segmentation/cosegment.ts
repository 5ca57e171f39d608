import { DinoError } from '../errors.js';
import type { Grid } from '../inference/features.js';
import { clusterByElbow } from './clusters.js';
import { assertKeyShape, keyRows, type KeyMask } from './key-features.js';

/** One of the images: what its patches offer, and how much the CLS token looks at them. */
export interface ImageToCosegment {
  /** [n, dimension], n = grid.height * grid.width patches row by row, any finite numbers. */
  readonly keys: Float32Array;
  /** [heads, n]. */
  readonly attention: Float32Array;
  readonly grid: Grid;
}

export interface CosegmentOptions {
  /** 2 to {@link MOST_IMAGES}. */
  readonly images: readonly ImageToCosegment[];
  /** Length of one patch's key. */
  readonly dimension: number;
  /** Share of its last value that the mean squared distance has to fall below for one cluster more, 0..1. Default 0.975. */
  readonly elbow?: number;
  /** Mean saliency above which a cluster is salient in an image, 0..1. Default 0.065. */
  readonly saliency?: number;
  /** Share of the images in which a cluster has to be salient, 0..1. Default 0.75. */
  readonly votes?: number;
  /** Most clusters, 2..14. Default 14. */
  readonly clusters?: number;
}

export interface Cosegmentation {
  /** Clusters that the patches of all images fall into. */
  readonly clusters: number;
  /** A mask per image, or none where it has no patch of a common cluster. */
  readonly masks: readonly (KeyMask | undefined)[];
}

const DEFAULTS = { elbow: 0.975, saliency: 0.065, votes: 0.75, clusters: 14 } as const;
const MOST_IMAGES = 16;

/**
 * Co-segmentation after Amir et al. 2021 (arXiv:2112.05814, section 4.2; code: cosegmentation.py of
 * https://github.com/ShirAmir/dino-vit-features): the keys of all images, at unit length, fall into clusters together; a cluster
 * is salient in an image where its patches' mean saliency is above a threshold; the clusters that are salient in enough images
 * are the foreground of all.
 *
 * The saliency of a patch is the mean of the heads' attention, scaled to 0..1 in each image. The authors take four of six
 * heads of one model, by hand.
 *
 * @throws DinoError `invalid-request` for an image of too many patches; RangeError for arrays that don't fit their grids
 */
export function cosegment(options: CosegmentOptions): Cosegmentation {
  const { images, dimension } = options;
  const { elbow, saliency: threshold, votes, clusters: most } = withDefaults(options);
  const rows = images.map(({ keys, grid }) => keyRows({ keys, dimension, grid }, { unit: true }));
  const { labels, count } = clusterByElbow({ rows: joined(rows), dimension }, { elbow, most });
  let from = 0;
  const looks = images.map((image) => {
    const saliency = saliencyOf(image);
    const own = labels.subarray(from, (from += saliency.length));
    const means = clusterMeans({ labels: own, saliency }, count);
    return { grid: image.grid, saliency, labels: own, isSalient: means.map((mean) => mean > threshold) };
  });
  const needed = Math.max(1, Math.ceil(images.length * votes));
  const voted = Array.from(
    { length: count },
    (_, label) => looks.filter(({ isSalient }) => isSalient[label]).length,
  );
  const common = voted.map((salientIn) => salientIn >= needed);
  const reason = `Of the ${count} clusters ${common.filter(Boolean).length} are salient in ${needed} of ${images.length} images or more.`;
  return { clusters: count, masks: looks.map((look) => maskOf(look, common, reason)) };
}

/** @throws DinoError `invalid-request` for too few or too many images, and as `assertKeyShape` */
export function assertCosegmentable({ images, dimension }: CosegmentOptions): void {
  assertFew(images.length);
  for (const { keys, grid } of images) assertKeyShape({ keys, dimension, grid });
}

/** @throws DinoError `invalid-request` */
export function assertFew(images: number): void {
  if (images >= 2 && images <= MOST_IMAGES) return;
  throw new DinoError('invalid-request', `Send 2 to ${MOST_IMAGES} images, not ${images}.`);
}

interface Labelled {
  /** The cluster of each patch. */
  readonly labels: Uint16Array;
  /** 0..1, one a patch. */
  readonly saliency: Float64Array;
}

function withDefaults({ elbow, saliency, votes, clusters }: CosegmentOptions) {
  return {
    elbow: elbow ?? DEFAULTS.elbow,
    saliency: saliency ?? DEFAULTS.saliency,
    votes: votes ?? DEFAULTS.votes,
    clusters: clusters ?? DEFAULTS.clusters,
  };
}

function joined(parts: readonly Float64Array[]): Float64Array {
  const whole = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The mean of the heads from its lowest, 0, to its highest, 1; 0 everywhere where all patches have the same. */
function saliencyOf({ attention, grid }: ImageToCosegment): Float64Array {
  const patches = grid.height * grid.width;
  if (attention.length === 0 || attention.length % patches !== 0) {
    throw new RangeError(`${attention.length} numbers for the attention of ${patches} patches`);
  }
  const mean = new Float64Array(patches);
  const heads = attention.length / patches;
  for (let at = 0; at < attention.length; at++) mean[at % patches]! += attention[at]! / heads;
  const lowest = mean.reduce((least, value) => Math.min(least, value), Infinity);
  const span = mean.reduce((most, value) => Math.max(most, value), -Infinity) - lowest;
  return mean.map((value) => (span > 0 ? (value - lowest) / span : 0));
}

/** The mean saliency of each cluster's patches; 0 for a cluster without any. */
function clusterMeans({ labels, saliency }: Labelled, count: number): number[] {
  const sums = new Array<number>(count).fill(0);
  const patches = new Array<number>(count).fill(0);
  labels.forEach((label, patch) => {
    sums[label]! += saliency[patch]!;
    patches[label]! += 1;
  });
  return sums.map((sum, label) => (patches[label] === 0 ? 0 : sum / patches[label]!));
}

/** The patches of the common clusters; its score is the share of the image's saliency in them. */
function maskOf(
  { labels, saliency }: Labelled,
  common: readonly boolean[],
  reason: string,
): KeyMask | undefined {
  const cells = Uint8Array.from(labels, (label) => (common[label] ? 1 : 0));
  if (!cells.includes(1)) return undefined;
  const all = saliency.reduce((sum, value) => sum + value, 0);
  const inside = saliency.reduce((sum, value, patch) => sum + cells[patch]! * value, 0);
  return { cells, head: null, score: all === 0 ? 0 : inside / all, reason };
}
