import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { deepSpectralMasks } from '#dino/segmentation/deep-spectral.js';
import type { KeyFeatures, KeyMask } from '#dino/segmentation/key-features.js';
import { lostMasks } from '#dino/segmentation/lost.js';
import { maskCutMasks } from '#dino/segmentation/maskcut.js';
import { boxMasks, pointMasks } from '#dino/segmentation/prompted.js';
import { tokenCutMasks } from '#dino/segmentation/tokencut.js';
import { maskIou } from '../../support/drawn-scenes.js';

/** Rows of # and ., apart by blanks: one mask, several, or null where nothing is found. */
type MaskTexts = string | string[] | null;

/** Written by scripts/dino_train/reference_masks, which solves the whole eigenproblems with NumPy's `eigh`. */
interface Reference {
  readonly cases: readonly ({
    readonly name: string;
    readonly height: number;
    readonly width: number;
    /** Base64 of signed bytes, patch after patch. */
    readonly keys: string;
  } & Record<keyof typeof METHODS, MaskTexts>)[];
}

const METHODS = {
  tokencut: tokenCutMasks,
  lost: lostMasks,
  maskcut: maskCutMasks,
  'deep-spectral': deepSpectralMasks,
  point: (features: KeyFeatures) => {
    const { height, width } = features.grid;
    return pointMasks({ ...features, patch: Math.floor(height / 2) * width + Math.floor(width / 2) });
  },
  box: (features: KeyFeatures) => boxMasks({ ...features, box: middleBox(features) }),
} satisfies Record<string, (features: KeyFeatures) => KeyMask[]>;
const NAMES = Object.keys(METHODS) as (keyof typeof METHODS)[];

const file = new URL('./key-masks-reference.json', import.meta.url);
const { cases } = JSON.parse(await readFile(file, 'utf8')) as Reference;

function cellsOf(rows: string): Uint8Array {
  return Uint8Array.from(rows.replaceAll(' ', ''), (mark) => (mark === '#' ? 1 : 0));
}

function middleBox({ grid: { height, width } }: KeyFeatures): Uint8Array {
  const isMiddle = (at: number, length: number) =>
    at >= Math.floor(length / 4) && at < Math.floor((3 * length) / 4);
  return Uint8Array.from({ length: height * width }, (_, patch) =>
    isMiddle(Math.floor(patch / width), height) && isMiddle(patch % width, width) ? 1 : 0,
  );
}

describe.each(NAMES)('the masks of %s', (method) => {
  it.each(cases)('are those of the plain computation: $name', (reference) => {
    const { height, width } = reference;
    const keys = Float32Array.from(new Int8Array(Buffer.from(reference.keys, 'base64')));
    const dimension = keys.length / (height * width);
    const masks = METHODS[method]({ keys, dimension, grid: { height, width } });
    const expected = [reference[method] ?? []].flat();
    expect(masks).toHaveLength(expected.length);
    masks.forEach((mask, index) => {
      expect(maskIou(mask.cells, cellsOf(expected[index]!))).toBe(1);
      expect(mask.score).toBeGreaterThan(0);
      expect(mask.score).toBeLessThanOrEqual(1);
      expect(mask.head).toBeNull();
    });
  });
});

it('the cases cover masks found and none, with and without a structure, and keys of a real model', () => {
  const kinds = new Set(cases.map(({ name }) => name.split(' ')[0]));
  expect(kinds.size).toBeGreaterThanOrEqual(10);
  for (const method of NAMES) {
    expect(cases.filter((one) => [one[method] ?? []].flat().length > 0).length).toBeGreaterThanOrEqual(24);
  }
  expect(cases.filter(({ maskcut }) => maskcut!.length >= 2).length).toBeGreaterThanOrEqual(10);
});
