import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { clusterByElbow } from '#dino/segmentation/clusters.js';
import { assertCosegmentable, cosegment, type ImageToCosegment } from '#dino/segmentation/cosegment.js';
import { maskIou } from '../../support/drawn-scenes.js';

/** Written by scripts/dino_train/reference_masks, from the authors' formulation with whole matrices. */
interface Reference {
  readonly cases: readonly {
    readonly name: string;
    readonly clusters: number;
    /** A mask per image: rows of # and ., apart by blanks. */
    readonly masks: readonly string[];
    readonly images: readonly {
      readonly height: number;
      readonly width: number;
      /** Base64 of signed bytes, patch after patch. */
      readonly keys: string;
      /** Base64 of float32, head after head. */
      readonly attention: string;
    }[];
  }[];
}

const file = new URL('./cosegment-reference.json', import.meta.url);
const { cases } = JSON.parse(await readFile(file, 'utf8')) as Reference;

function imagesOf({ images }: Reference['cases'][number]): ImageToCosegment[] {
  return images.map(({ height, width, keys, attention }) => ({
    grid: { height, width },
    keys: Float32Array.from(new Int8Array(Buffer.from(keys, 'base64'))),
    attention: new Float32Array(new Uint8Array(Buffer.from(attention, 'base64')).buffer),
  }));
}

function dimensionOf([image]: ImageToCosegment[]): number {
  const { keys, grid } = image!;
  return keys.length / (grid.height * grid.width);
}

function cellsOf(rows: string): Uint8Array {
  return Uint8Array.from(rows.replaceAll(' ', ''), (mark) => (mark === '#' ? 1 : 0));
}

describe('cosegment', () => {
  it.each(cases)('finds what the plain computation finds: $name', (reference) => {
    const images = imagesOf(reference);
    const { clusters, masks } = cosegment({ images, dimension: dimensionOf(images) });
    expect(clusters).toBe(reference.clusters);
    expect(masks).toHaveLength(reference.masks.length);
    masks.forEach((mask, index) => {
      const expected = cellsOf(reference.masks[index]!);
      if (expected.includes(1)) expect(maskIou(mask!.cells, expected)).toBeGreaterThanOrEqual(0.99);
      else expect(mask).toBeUndefined();
    });
  });

  const common = imagesOf(cases.find(({ name }) => name === 'common')!);
  const dimension = dimensionOf(common);

  it('takes fewer clusters for common the more votes they need, and says so', () => {
    const areas = [0.25, 0.75, 1].map((votes) => {
      const { masks } = cosegment({ images: common, dimension, votes, saliency: 0.3 });
      return masks.reduce((sum, mask) => sum + (mask?.cells.filter((cell) => cell === 1).length ?? 0), 0);
    });
    // Nine patches of the thing that one image alone has.
    expect(areas[0]).toBe(areas[1]! + 9);
    expect(areas[2]).toBe(areas[1]);
    const [mask] = cosegment({ images: common, dimension }).masks;
    expect(mask!.reason).toMatch(/^Of the \d+ clusters \d+ are salient in 3 of 4 images or more\.$/);
    expect(mask!.score).toBeGreaterThan(0.5);
    expect(mask!.score).toBeLessThanOrEqual(1);
  });

  it('finds nothing where nothing is salient enough', () => {
    const { masks } = cosegment({ images: common, dimension, saliency: 1 });
    expect(masks).toEqual([undefined, undefined, undefined, undefined]);
  });

  it('gives the same answer again', () => {
    expect(cosegment({ images: common, dimension })).toEqual(cosegment({ images: common, dimension }));
  });

  it('refuses one image, seventeen, and arrays that do not fit their grid', () => {
    const [image] = common as [ImageToCosegment];
    const check = (images: ImageToCosegment[]) => () => assertCosegmentable({ images, dimension });
    expect(check([image])).toThrow(/2 to 16 images, not 1/);
    expect(check(Array.from({ length: 17 }, () => image))).toThrow(/not 17/);
    const odd = { ...image, attention: image.attention.subarray(1) };
    expect(() => cosegment({ images: [image, odd], dimension })).toThrow(RangeError);
    const broken = { ...image, keys: image.keys.slice().fill(NaN, 0, 1) };
    expect(() => cosegment({ images: [image, broken], dimension })).toThrow(/not finite/);
  });
});

describe('clusterByElbow', () => {
  it('stops with the first cluster that brings too little', () => {
    // Three pairs of points on a line, far apart.
    const rows = Float64Array.of(0, 1, 100, 101, 200, 201);
    const { labels, count } = clusterByElbow({ rows, dimension: 1 }, { elbow: 0.3, most: 14 });
    // Three clusters leave half a step to each centre; a fourth can halve one pair's alone.
    expect(count).toBe(4);
    expect(new Set([labels[0], labels[2], labels[4]]).size).toBe(3);
    const two = clusterByElbow({ rows, dimension: 1 }, { elbow: 0.975, most: 2 });
    expect(new Set(two.labels).size).toBe(2);
  });

  it('does not go on where all points are one', () => {
    const { count } = clusterByElbow(
      { rows: new Float64Array(40), dimension: 4 },
      { elbow: 0.975, most: 14 },
    );
    expect(count).toBe(2);
  });
});
