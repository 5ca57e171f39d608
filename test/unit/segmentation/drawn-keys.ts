import type { Grid } from '#dino/inference/features.js';
import { createRandom } from '../../support/drawn-scenes.js';

export interface DrawnKeys {
  readonly keys: Float32Array<ArrayBuffer>;
  readonly dimension: number;
  readonly grid: Grid;
  /** 1 where the object is, row by row. */
  readonly truth: Uint8Array;
}

export interface DrawnKeysOptions {
  readonly grid: Grid;
  /** Length of a key; default 24. */
  readonly dimension?: number;
  /** Length of the noise on a key whose own length is 1; default 0.6. */
  readonly noise?: number;
  /** Any integer; moves the disc and draws directions and noise anew. Default 1. */
  readonly seed?: number;
}

/**
 * Key features as a trained model gives them of a disc on a plain ground: object and ground each around a direction
 * of their own, with a negative cosine between the two. The disc's diameter is 40 to 60 % of the shorter side, and
 * it lies wholly in the picture.
 */
export function drawKeys(options: DrawnKeysOptions): DrawnKeys {
  const { grid, dimension = 24, noise = 0.6, seed = 1 } = options;
  const { height, width } = grid;
  const random = createRandom(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const ground = unit(Float64Array.from({ length: dimension }, normal));
  const sideways = Float64Array.from({ length: dimension }, normal);
  const along = sideways.reduce((sum, entry, at) => sum + entry * ground[at]!, 0);
  const across = unit(sideways.map((entry, at) => entry - along * ground[at]!));
  const object = unit(across.map((entry, at) => entry - 0.4 * ground[at]!));
  const radius = (0.2 + 0.1 * random()) * Math.min(height, width);
  const centreX = radius + (width - 2 * radius) * random();
  const centreY = radius + (height - 2 * radius) * random();
  const truth = Uint8Array.from({ length: height * width }, (_, patch) => {
    const [x, y] = [(patch % width) + 0.5 - centreX, Math.floor(patch / width) + 0.5 - centreY];
    return Math.hypot(x, y) < radius ? 1 : 0;
  });
  const keys = new Float32Array(truth.length * dimension);
  truth.forEach((isObject, patch) => {
    const direction = isObject === 1 ? object : ground;
    for (let at = 0; at < dimension; at++) {
      keys[patch * dimension + at] = direction[at]! + (noise * normal()) / Math.sqrt(dimension);
    }
  });
  return { keys, dimension, grid, truth };
}

function unit(vector: Float64Array): Float64Array {
  const length = Math.hypot(...vector);
  return vector.map((entry) => entry / length);
}
