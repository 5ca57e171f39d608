import { describe, expect, it } from 'vitest';
import { binaryAffinity } from '#dino/segmentation/affinity.js';
import { deepSpectralMasks } from '#dino/segmentation/deep-spectral.js';
import { keyRows, type KeyFeatures, type KeyMask } from '#dino/segmentation/key-features.js';
import { lostMasks } from '#dino/segmentation/lost.js';
import { maskCutMasks } from '#dino/segmentation/maskcut.js';
import { cutVector } from '#dino/segmentation/normalised-cut.js';
import { boxMasks, pointMasks } from '#dino/segmentation/prompted.js';
import { tokenCutMasks } from '#dino/segmentation/tokencut.js';
import { maskIou } from '../../support/drawn-scenes.js';
import { drawKeys } from './drawn-keys.js';
import { markedKeys, opposedKeys, picture, problem } from './marked-keys.js';

const METHODS = {
  tokencut: tokenCutMasks,
  lost: lostMasks,
  maskcut: maskCutMasks,
  'deep-spectral': deepSpectralMasks,
  // Prompts in the middle of the picture, where the drawn object need not be.
  point: (features: KeyFeatures) => pointMasks({ ...features, patch: middle(features) }),
  box: (features: KeyFeatures) => boxMasks({ ...features, box: middleBox(features) }),
} satisfies Record<string, (features: KeyFeatures) => KeyMask[]>;

function middle({ grid }: KeyFeatures): number {
  return Math.floor(grid.height / 2) * grid.width + Math.floor(grid.width / 2);
}

function middleBox({ grid }: KeyFeatures): Uint8Array {
  const isMiddle = (at: number, length: number) => at >= Math.floor(length / 4) && at < (3 * length) / 4;
  return Uint8Array.from({ length: grid.height * grid.width }, (_, patch) =>
    isMiddle(patch % grid.width, grid.width) && isMiddle(Math.floor(patch / grid.width), grid.height) ? 1 : 0,
  );
}

describe.each(['tokencut', 'lost', 'maskcut', 'deep-spectral'] as const)('the first mask of %s', (method) => {
  const find = METHODS[method];

  it.each([
    [14, 14],
    [9, 30],
    [30, 22],
  ])('finds a drawn object among %i x %i patches', (height, width) => {
    for (let seed = 1; seed <= 5; seed++) {
      const drawn = drawKeys({ grid: { height, width }, seed });
      const [mask] = find(drawn);
      expect(maskIou(mask!.cells, drawn.truth)).toBeGreaterThan(0.9);
      expect(mask!.score).toBeGreaterThan(0.9);
    }
  });

  it('finds most of an object under strong noise', () => {
    const drawn = drawKeys({ grid: { height: 20, width: 20 }, noise: 1, dimension: 48 });
    expect(maskIou(find(drawn)[0]!.cells, drawn.truth)).toBeGreaterThan(0.7);
  });
});

describe.each(['tokencut', 'lost'] as const)('the mask of %s', (method) => {
  const find = METHODS[method];

  it('keeps the part of the foreground that hangs together by edges', () => {
    const features = opposedKeys('.###... .##.... ...##.. .......');
    const [mask] = find(features);
    expect(picture(mask!, features)).toBe('.###... .##.... ....... .......');
    expect(mask!.score).toBeCloseTo(5 / 7, 6);
  });

  it('says why', () => {
    const features = opposedKeys('....... ...##.. .......');
    expect(find(features)[0]!.reason).toMatch(/row 2, column 4/);
  });
});

describe.each(Object.keys(METHODS) as (keyof typeof METHODS)[])('%s', (method) => {
  const find = METHODS[method];

  it.each([
    ['one patch', { height: 1, width: 1 }],
    ['a row', { height: 1, width: 9 }],
    ['a picture', { height: 5, width: 6 }],
  ])('finds nothing in %s whose patches are all alike, or all zero', (_, grid) => {
    const dimension = 4;
    const length = grid.height * grid.width * dimension;
    for (const value of [1, -3, 0]) {
      expect(find({ keys: new Float32Array(length).fill(value), dimension, grid })).toEqual([]);
    }
  });

  it('gives numbers for keys of any size', () => {
    for (const scale of [1e-18, 1e18]) {
      const drawn = drawKeys({ grid: { height: 8, width: 9 } });
      const plain = find(drawn)[0]!;
      const scaled = find({ ...drawn, keys: drawn.keys.map((entry) => entry * scale) })[0]!;
      expect(maskIou(scaled.cells, plain.cells)).toBe(1);
      expect(scaled.score).toBeCloseTo(plain.score, 5);
    }
  });

  it('leaves its input as it was', () => {
    const drawn = drawKeys({ grid: { height: 6, width: 7 } });
    const before = drawn.keys.slice();
    find(drawn);
    expect(drawn.keys).toEqual(before);
  });

  it('refuses keys that are not finite, and keys that do not fit the grid', () => {
    const features = opposedKeys('..## .... ....');
    for (const value of [NaN, Infinity, -Infinity]) {
      const keys = features.keys.slice();
      keys[5] = value;
      expect(() => find({ ...features, keys })).toThrow(RangeError);
    }
    expect(() => find({ ...features, dimension: 2 })).toThrow(RangeError);
    expect(() => find({ ...features, dimension: 0 })).toThrow(RangeError);
  });

  it('refuses more patches than can be compared each with each', () => {
    const grid = { height: 64, width: 65 };
    const error = problem(() => find({ keys: new Float32Array(64 * 65), dimension: 1, grid }));
    expect(error.code).toBe('invalid-request');
    expect(error.message).toMatch(/65 x 64 patches.*at most 4096/);
  });
});

describe('tokencut', () => {
  it('solves the generalised eigenproblem of its graph', () => {
    const drawn = drawKeys({ grid: { height: 7, width: 8 }, noise: 1.5 });
    const n = 56;
    const rows = keyRows(drawn, { unit: true });
    const { vector, value } = cutVector(binaryAffinity({ rows, dimension: drawn.dimension, above: 0.2 }));
    const weight = (first: number, second: number) => {
      const [a, b] = [first, second].map((at) =>
        drawn.keys.subarray(at * drawn.dimension, (at + 1) * drawn.dimension),
      ) as [Float32Array, Float32Array];
      const cosine =
        a.reduce((sum, entry, at) => sum + entry * b[at]!, 0) / Math.hypot(...a) / Math.hypot(...b);
      return cosine > 0.2 ? 1 : 1e-5;
    };
    let orthogonality = 0;
    for (let row = 0; row < n; row++) {
      const weights = Array.from({ length: n }, (_, column) => weight(row, column));
      const degree = weights.reduce((sum, entry) => sum + entry, 0);
      const left = degree * vector[row]! - weights.reduce((sum, entry, at) => sum + entry * vector[at]!, 0);
      expect(left).toBeCloseTo((1 - value) * degree * vector[row]!, 9);
      orthogonality += degree * vector[row]!;
    }
    expect(orthogonality).toBeCloseTo(0, 9);
  });

  it('takes the side that stands out most, which is the smaller of two', () => {
    const inside = markedKeys('aaaaaa abbaaa abbaaa aaaaaa');
    expect(picture(tokenCutMasks(inside)[0]!, inside)).toBe('...... .##... .##... ......');
    const outside = markedKeys('aabbbb bbbbbb bbbbbb bbbbbb');
    expect(picture(tokenCutMasks(outside)[0]!, outside)).toBe('##.... ...... ...... ......');
  });

  it('takes patches with a key of zeros for no part of the object', () => {
    const features = opposedKeys('.##.... .##.... .......');
    features.keys[6] = 0;
    features.keys[20] = 0;
    expect(picture(tokenCutMasks(features)[0]!, features)).toBe('.##.... .##.... .......');
  });

  it('takes the largest part where several stand out equally', () => {
    const features = markedKeys('baaaaa aaaabb aaaabb aaaaaa');
    expect(picture(tokenCutMasks(features)[0]!, features)).toBe('...... ....## ....## ......');
  });

  it('joins patches above tau alone', () => {
    // Cosines: 0.8 between ground and middle, 0 between middle and object, -0.6 between ground and object.
    const [ground, middle, object] = [
      [1, 0],
      [0.8, 0.6],
      [-0.6, 0.8],
    ] as const;
    const row = [...new Array<typeof ground>(5).fill(ground), middle, middle, object, object];
    const features = {
      keys: Float32Array.from(row.flat()),
      dimension: 2,
      grid: { height: 1, width: 9 },
    };
    const maskAt = (tau: number) => picture(tokenCutMasks({ ...features, tau })[0]!, features);
    expect(maskAt(0.2)).toBe('.......##');
    expect(tokenCutMasks(features)).toEqual(tokenCutMasks({ ...features, tau: 0.2 }));
    // The middle goes with the object where it is joined to both, or to none.
    expect(maskAt(-0.1)).toBe('.....####');
    expect(maskAt(0.9)).toBe('.....####');
    expect(tokenCutMasks({ ...features, tau: -0.7 })).toEqual([]);
    expect(tokenCutMasks({ ...features, tau: 1 })).toEqual([]);
  });

  it.each([NaN, -1.01, 2, Infinity])('refuses a tau of %f', (tau) => {
    const error = problem(() => tokenCutMasks({ ...markedKeys('ab'), tau }));
    expect(error.code).toBe('invalid-request');
    expect(error.message).toBe(`tau is a cosine, -1 to 1, not ${tau}.`);
  });

  it('finds nothing where no two patches are alike', () => {
    expect(tokenCutMasks(markedKeys('abc def'))).toEqual([]);
  });
});

describe('lost', () => {
  it('starts from the patch that is like the fewest others, and goes on with those like it', () => {
    // Worked out by hand: degrees 3, 3, 4, 1, 3, so that patch 3 is the seed, and it is like patch 2 alone.
    const keys = Float32Array.from([1, -0.1, 1, 0.1, 0.2, 1, -1, 1, 0.9, 0.8]);
    const features = { keys, dimension: 2, grid: { height: 1, width: 5 } };
    // Their keys' sum is (-0.8, 2): patch 4 is like the sum, though not like the seed.
    expect(picture(lostMasks(features)[0]!, features)).toBe('..###');
    // Patch 2 has the highest degree: it is the last candidate.
    expect(picture(lostMasks({ ...features, candidates: 4 })[0]!, features)).toBe('..##.');
  });

  it('takes a patch like no other for an object of its own', () => {
    const features = markedKeys('aaa aba aaa');
    expect(picture(lostMasks(features)[0]!, features)).toBe('... .#. ...');
  });

  it('finds nothing where the patch that is like the fewest others has a key of zeros', () => {
    const features = opposedKeys('.##.... .##.... .......');
    features.keys[6] = 0;
    expect(lostMasks(features)).toEqual([]);
  });

  it.each([0, -1, 1.5, NaN])('refuses %f candidates', (candidates) => {
    const error = problem(() => lostMasks({ ...markedKeys('ab'), candidates }));
    expect(error.code).toBe('invalid-request');
    expect(error.message).toMatch(/whole number from 1/);
  });
});
