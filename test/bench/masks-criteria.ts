import { largestComponent } from '#dino/segmentation/connected-component.js';
import type { HeadMask } from '#dino/segmentation/head-criterion.js';

/** Scores a head's mask, bigger is better; `all` are the masks of the image's other heads and its own. */
export type Criterion = (head: HeadMask, all: readonly HeadMask[]) => number;

/** Ways to choose among heads that use nothing but the attention itself. */
export const CRITERIA: Record<string, Criterion> = {
  'largest part by mass': wholeness,
  'largest part by patches': ({ cells, grid }) =>
    largestComponent(cells, grid).weight / Math.max(1, count(cells)),
  'lowest entropy': concentration,
  'highest entropy': (head) => -concentration(head),
  'least border mass': interior,
  'nearest the centre': centredness,
  'least spread': compactness,
  'fewest patches': ({ cells }) => -count(cells),
  'most patches': ({ cells }) => count(cells),
  'agreement with other heads': agreement,
  'part by mass x interior': (head) => wholeness(head) * interior(head),
  'part by mass x entropy': (head) => wholeness(head) * concentration(head),
  'part by mass x centre': (head) => wholeness(head) * centredness(head),
  'part by mass x agreement': (head, all) => wholeness(head) * agreement(head, all),
  'interior x entropy': (head) => interior(head) * concentration(head),
  'interior x agreement': (head, all) => interior(head) * agreement(head, all),
  'centre x agreement': (head, all) => centredness(head) * agreement(head, all),
};

/** Share of the mask's attention in its largest connected part. */
function wholeness({ attention, cells, grid }: HeadMask): number {
  const held = attention.reduce((sum, value, patch) => sum + (cells[patch] === 0 ? 0 : value), 0);
  return held === 0 ? 0 : largestComponent(cells, grid, attention).weight / held;
}

/** 1 minus the entropy of the attention over patches, as a share of the most it can be. */
function concentration({ attention }: HeadMask): number {
  let entropy = 0;
  for (const share of shares(attention)) if (share > 0) entropy -= share * Math.log(share);
  return 1 - entropy / Math.log(attention.length);
}

/** Share of the attention that does not lie on the outermost patches. */
function interior({ attention, grid }: HeadMask): number {
  return shares(attention).reduce((sum, share, patch) => {
    const [row, column] = [Math.floor(patch / grid.width), patch % grid.width];
    const isBorder = row === 0 || column === 0 || row === grid.height - 1 || column === grid.width - 1;
    return sum + (isBorder ? 0 : share);
  }, 0);
}

/** 1 at the centre of the image, 0 in its corners, averaged over the attention. */
function centredness({ attention, grid }: HeadMask): number {
  return shares(attention).reduce((sum, share, patch) => {
    const x = ((patch % grid.width) + 0.5) / grid.width - 0.5;
    const y = (Math.floor(patch / grid.width) + 0.5) / grid.height - 0.5;
    return sum + share * (1 - Math.hypot(x, y) / Math.SQRT1_2);
  }, 0);
}

/** 1 minus the standard deviation of the attention's place, in units of the image's sides. */
function compactness({ attention, grid }: HeadMask): number {
  let [x, y, xx, yy] = [0, 0, 0, 0];
  shares(attention).forEach((share, patch) => {
    const across = ((patch % grid.width) + 0.5) / grid.width;
    const down = (Math.floor(patch / grid.width) + 0.5) / grid.height;
    x += share * across;
    y += share * down;
    xx += share * across * across;
    yy += share * down * down;
  });
  return 1 - Math.sqrt(Math.max(0, xx - x * x + yy - y * y));
}

/** Mean intersection over union with the masks of the other heads. */
function agreement(head: HeadMask, all: readonly HeadMask[]): number {
  const others = all.filter((other) => other !== head);
  const ious = others.map(({ cells }) => {
    const both = cells.filter((inside, patch) => inside !== 0 && head.cells[patch] !== 0).length;
    const either = count(cells) + count(head.cells) - both;
    return either === 0 ? 0 : both / either;
  });
  return ious.length === 0 ? 0 : ious.reduce((sum, iou) => sum + iou, 0) / ious.length;
}

function shares(attention: Float32Array): number[] {
  const total = attention.reduce((sum, value) => sum + value, 0);
  return Array.from(attention, (value) => (total === 0 ? 0 : value / total));
}

function count(cells: Uint8Array): number {
  return cells.reduce((sum, inside) => sum + (inside === 0 ? 0 : 1), 0);
}
