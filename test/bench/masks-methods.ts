import { attentionMasks, topMassCells } from '#dino/segmentation/attention-mask.js';
import { largestComponent } from '#dino/segmentation/connected-component.js';
import { deepSpectralMasks } from '#dino/segmentation/deep-spectral.js';
import type { HeadMask } from '#dino/segmentation/head-criterion.js';
import { lostMasks } from '#dino/segmentation/lost.js';
import { maskCutMasks } from '#dino/segmentation/maskcut.js';
import { patchAt, patchesIn } from '#dino/segmentation/prompt-place.js';
import { boxMasks, pointMasks } from '#dino/segmentation/prompted.js';
import { refineMasks } from '#dino/segmentation/refine.js';
import { tokenCutMasks } from '#dino/segmentation/tokencut.js';
import { CRITERIA } from './masks-criteria.js';
import { timed, type Sample } from './masks-photos.js';
import { scoresOf, sharesOfPixels, type Scores, type ScoreSheet } from './masks-scores.js';

/** What the authors report on the whole of ECSSD with the official ViT-S/16. */
export const PUBLISHED: readonly { name: string; scores: Scores }[] = [
  { name: 'TokenCut', scores: { iou: 0.712, fBeta: 0.803, accuracy: 0.918 } },
  { name: 'TokenCut and bilateral solver', scores: { iou: 0.772, fBeta: 0.874, accuracy: 0.934 } },
  { name: 'LOST, as the TokenCut paper has it', scores: { iou: 0.654, fBeta: 0.758, accuracy: 0.895 } },
];

type Finder = (sample: Sample) => { readonly cells: Uint8Array }[];

/** The service's methods with their defaults. */
function methods(threshold: number): Record<string, Finder> {
  return {
    attention: ({ heads, grid }) => attentionMasks({ heads, grid, threshold }),
    tokencut: ({ features }) => tokenCutMasks(features),
    lost: ({ features }) => lostMasks(features),
    maskcut: ({ features }) => maskCutMasks(features),
    'deep-spectral': ({ features }) => deepSpectralMasks(features),
    point: ({ features, point, pixels, grid }) =>
      pointMasks({ ...features, patch: patchAt(point, pixels, grid) }),
    box: ({ features, box, pixels, grid }) => boxMasks({ ...features, box: patchesIn(box, pixels, grid) }),
  };
}

const TAUS = [0.3, 0.4, 0.5, 0.6];

/** Scores and times every method, alone and refined, on one photo. */
export async function scoreMethods(sample: Sample, threshold: number, sheet: ScoreSheet): Promise<void> {
  const none = new Uint8Array(sample.grid.width * sample.grid.height);
  for (const [name, find] of Object.entries(methods(threshold))) {
    const masks = await timed(sheet, name, () => find(sample));
    const cells = masks[0]?.cells ?? none;
    sheet.note(name, sample.sharesOf(cells));
    if (masks.length > 0) {
      const task = { pixels: sample.pixels, grid: sample.grid, masks: [cells] };
      const [refined] = await timed(sheet, 'bilateral, one mask', () => refineMasks(task));
      sheet.note(`${name}, bilateral`, sharesOfPixels(refined!.pixels, sample.truth));
    } else {
      sheet.note(`${name}, bilateral`, sample.sharesOf(none));
    }
    if (name === 'maskcut' || name === 'deep-spectral') {
      sheet.note(`${name}, the best of up to 3 by the truth (bound)`, best(sample, masks, none));
    }
  }
  for (const tau of TAUS) {
    const [mask] = tokenCutMasks({ ...sample.features, tau });
    sheet.note(`tokencut, tau ${tau}`, sample.sharesOf(mask?.cells ?? none));
  }
}

/** Scores trivial answers, and ways of choosing among heads: a few, or where `isDetailed` all. */
export function scoreHeads(sample: Sample, threshold: number, isDetailed: boolean, sheet: ScoreSheet): void {
  const { heads, grid, sharesOf } = sample;
  const masks: HeadMask[] = heads.map((attention) => ({
    attention,
    cells: topMassCells(attention, threshold),
    grid,
  }));
  const none = new Uint8Array(grid.width * grid.height);
  sheet.note('the best head by the truth (bound)', best(sample, masks, none));
  sheet.note('union of heads', sharesOf(atLeast(masks, 1)));
  if (isDetailed) scoreEachHead(sample, masks, threshold, sheet);
  sheet.note('baseline: whole image', sharesOf(none.map(() => 1)));
  sheet.note('baseline: middle half each way', sharesOf(middleBox(sample, 0.5)));
  sheet.note('baseline: middle 70 % each way', sharesOf(middleBox(sample, 0.7)));
  sheet.note('baseline: the box around the object', sharesOf(patchesIn(sample.box, sample.pixels, grid)));
}

function scoreEachHead(
  { heads, grid, sharesOf }: Sample,
  masks: readonly HeadMask[],
  threshold: number,
  sheet: ScoreSheet,
): void {
  masks.forEach(({ cells }, head) => sheet.note(`head ${head}`, sharesOf(cells)));
  for (const [name, criterion] of Object.entries(CRITERIA)) {
    const scores = masks.map((mask) => criterion(mask, masks));
    sheet.note(`head by: ${name}`, sharesOf(masks[scores.indexOf(Math.max(...scores))]!.cells));
  }
  const mean = meanAttention(heads);
  const ofMean = topMassCells(mean, threshold);
  sheet.note('mean of heads', sharesOf(ofMean));
  sheet.note('mean of heads, largest part', sharesOf(largestComponent(ofMean, grid, mean).cells));
  sheet.note('majority of heads', sharesOf(atLeast(masks, Math.floor(heads.length / 2) + 1)));
}

/** Shares of the mask of the largest intersection over union with the truth. */
function best(sample: Sample, masks: readonly { readonly cells: Uint8Array }[], none: Uint8Array) {
  const shares = masks.map(({ cells }) => sample.sharesOf(cells));
  return shares.reduce(
    (most, one) => (scoresOf(one).iou > scoresOf(most).iou ? one : most),
    sample.sharesOf(none),
  );
}

function meanAttention(heads: readonly Float32Array[]): Float32Array {
  const mean = new Float32Array(heads[0]!.length);
  for (const attention of heads) {
    const total = attention.reduce((sum, value) => sum + value, 0);
    attention.forEach((value, patch) => (mean[patch]! += value / total / heads.length));
  }
  return mean;
}

function atLeast(masks: readonly HeadMask[], votes: number): Uint8Array {
  return masks[0]!.cells.map((_, patch) =>
    masks.filter(({ cells }) => cells[patch] !== 0).length >= votes ? 1 : 0,
  );
}

function middleBox({ grid }: Sample, share: number): Uint8Array {
  const isMiddle = (at: number, length: number) => Math.abs((at + 0.5) / length - 0.5) < share / 2;
  return Uint8Array.from({ length: grid.width * grid.height }, (_, patch) => {
    const [row, column] = [Math.floor(patch / grid.width), patch % grid.width];
    return isMiddle(row, grid.height) && isMiddle(column, grid.width) ? 1 : 0;
  });
}
