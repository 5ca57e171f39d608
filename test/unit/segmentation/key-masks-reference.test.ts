import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { KeyFeatures, KeyMask } from '#dino/segmentation/key-features.js';
import { lostMasks } from '#dino/segmentation/lost.js';
import { tokenCutMasks } from '#dino/segmentation/tokencut.js';
import { maskIou } from '../../support/drawn-scenes.js';

/** Written by scripts/dino_train/reference_masks.py, which solves the whole eigenproblem with NumPy's `eigh`. */
interface Reference {
  readonly cases: readonly {
    readonly name: string;
    readonly height: number;
    readonly width: number;
    /** Base64 of signed bytes, patch after patch. */
    readonly keys: string;
    /** Rows of # and ., apart by blanks; null where nothing is found. */
    readonly tokencut: string | null;
    readonly lost: string | null;
  }[];
}

const file = new URL('./key-masks-reference.json', import.meta.url);
const { cases } = JSON.parse(await readFile(file, 'utf8')) as Reference;

const METHODS: Record<'tokencut' | 'lost', (features: KeyFeatures) => KeyMask[]> = {
  tokencut: tokenCutMasks,
  lost: lostMasks,
};

function cellsOf(rows: string): Uint8Array {
  return Uint8Array.from(rows.replaceAll(' ', ''), (mark) => (mark === '#' ? 1 : 0));
}

describe.each(['tokencut', 'lost'] as const)('the masks of %s', (method) => {
  it.each(cases)('are those of the plain computation: $name', (reference) => {
    const { height, width } = reference;
    const keys = Float32Array.from(new Int8Array(Buffer.from(reference.keys, 'base64')));
    const dimension = keys.length / (height * width);
    const masks = METHODS[method]({ keys, dimension, grid: { height, width } });
    const expected = reference[method];
    if (expected === null) {
      expect(masks).toEqual([]);
      return;
    }
    expect(masks).toHaveLength(1);
    expect(maskIou(masks[0]!.cells, cellsOf(expected))).toBe(1);
    expect(masks[0]!.score).toBeGreaterThan(0);
    expect(masks[0]!.score).toBeLessThanOrEqual(1);
    expect(masks[0]!.head).toBeNull();
  });
});

it('the cases cover masks found and none, with and without a structure, and keys of a real model', () => {
  const kinds = new Set(cases.map(({ name }) => name.split(' ')[0]));
  expect(kinds.size).toBeGreaterThanOrEqual(10);
  expect(cases.filter(({ tokencut }) => tokencut !== null).length).toBeGreaterThanOrEqual(24);
  expect(cases.filter(({ lost }) => lost !== null).length).toBeGreaterThanOrEqual(24);
});
