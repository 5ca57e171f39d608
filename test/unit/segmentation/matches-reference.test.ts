import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { bestBuddies } from '#dino/segmentation/best-buddies.js';
import { bestMatches, type PatchFeatures } from '#dino/segmentation/best-matches.js';
import { binnedMatches } from '#dino/segmentation/binned-matches.js';

interface Image {
  readonly height: number;
  readonly width: number;
  /** Base64 of signed bytes, patch after patch. */
  readonly values: string;
}

interface Answers {
  /** Patch of the first image, of the second, score; best first. */
  readonly pairs: readonly (readonly [number, number, number])[];
  /** Of each patch the best score. */
  readonly first: readonly number[];
  readonly second: readonly number[];
}

/** Written by scripts/dino_train/reference_matches.py, which lays out whole matrices and descriptors with NumPy. */
interface Reference {
  readonly cases: readonly {
    readonly name: string;
    readonly images: readonly [Image, Image];
    readonly plain: Answers;
    readonly binned: Answers;
  }[];
}

const file = new URL('./matches-reference.json', import.meta.url);
const { cases } = JSON.parse(await readFile(file, 'utf8')) as Reference;

function featuresOf({ height, width, values }: Image): PatchFeatures {
  const numbers = Float32Array.from(new Int8Array(Buffer.from(values, 'base64')));
  return { values: numbers, dimension: numbers.length / (height * width), grid: { height, width } };
}

describe.each([
  ['plain', bestMatches],
  ['binned', binnedMatches],
] as const)('%s matches', (kind, match) => {
  it.each(cases)('are those of the plain computation: $name', ({ images, ...reference }) => {
    const expected = reference[kind];
    const matches = match(featuresOf(images[0]), featuresOf(images[1]));
    for (const side of ['first', 'second'] as const) {
      expect(matches[side].scores).toHaveLength(expected[side].length);
      expected[side].forEach((score, patch) => expect(matches[side].scores[patch]).toBeCloseTo(score, 5));
    }
    const pairs = bestBuddies(matches, { maxPairs: Infinity, minScore: -1 });
    const inOrder = (found: readonly (readonly [number, number])[]) => [...found].sort((a, b) => a[0] - b[0]);
    expect(inOrder(pairs.map(({ first, second }) => [first, second]))).toEqual(
      inOrder(expected.pairs.map(([first, second]) => [first, second])),
    );
    pairs.forEach(({ score }, at) => expect(score).toBeCloseTo(expected.pairs[at]![2], 5));
  });
});

it('the cases cover grids of many shapes, contents that moved or were mirrored, and keys of a real model', () => {
  expect(cases.length).toBeGreaterThanOrEqual(11);
  for (const kind of ['random', 'moved', 'mirror', 'by dino-'])
    expect(cases.filter(({ name }) => name.includes(kind)).length).toBeGreaterThanOrEqual(2);
});
