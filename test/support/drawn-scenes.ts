import sharp from 'sharp';

export * from './odd-images.js';

/**
 * Photos drawn by the tests: one shape of a known outline on a textured ground. The same class and seed
 * always give the same picture, and each class has its own shape, texture and colours, so that a
 * nearest-neighbour search can tell the classes apart and a mask has a truth to be compared with.
 */
export const SCENE_CLASSES = [
  'disc-on-stripes',
  'square-on-checks',
  'triangle-on-waves',
  'ring-on-noise',
  'cross-on-dots',
  'diamond-on-gradient',
] as const;
export type SceneClass = (typeof SCENE_CLASSES)[number];

export interface SceneOptions {
  readonly className: SceneClass;
  /** Any integer; moves and scales the shape and varies the texture. Default 1. */
  readonly seed?: number;
  /** Pixels, default 224. */
  readonly width?: number;
  /** Pixels, default 224. */
  readonly height?: number;
  /** Default `jpeg` (quality 92). */
  readonly format?: 'jpeg' | 'png';
}

export interface DrawnScene {
  readonly className: SceneClass;
  /** The encoded file. */
  readonly bytes: Buffer;
  readonly mediaType: 'image/jpeg' | 'image/png';
  readonly width: number;
  readonly height: number;
  /** The drawn pixels before encoding, RGB, row by row. */
  readonly rgb: Uint8Array;
  /** 1 where the shape is, 0 elsewhere, row by row: `width * height`. */
  readonly truth: Uint8Array;
  /** Box of the shape, `[x, y, width, height]` in pixels. */
  readonly bbox: [number, number, number, number];
}

type Rgb = readonly [number, number, number];
/** Is the point inside the shape? `x` and `y` are relative to its centre, in units of its radius. */
type Shape = (x: number, y: number) => boolean;
/** How much of the second ground colour shows at a pixel, 0 to 1. */
type Texture = (x: number, y: number) => number;

interface ClassRecipe {
  readonly shape: Shape;
  readonly texture: (random: () => number) => Texture;
  readonly ground: readonly [Rgb, Rgb];
  readonly fill: readonly [Rgb, Rgb];
}

const RECIPES: Record<SceneClass, ClassRecipe> = {
  'disc-on-stripes': {
    shape: (x, y) => x * x + y * y < 1,
    texture: (random) => {
      const period = 10 + 8 * random();
      const slope = random() - 0.5;
      return (x, y) => ((x + slope * y) / period - Math.floor((x + slope * y) / period) < 0.5 ? 0 : 1);
    },
    ground: [
      [40, 70, 150],
      [70, 110, 200],
    ],
    fill: [
      [240, 140, 30],
      [250, 190, 60],
    ],
  },
  'square-on-checks': {
    shape: (x, y) => Math.max(Math.abs(x), Math.abs(y)) < 0.85,
    texture: (random) => {
      const size = 9 + 6 * random();
      return (x, y) => (Math.floor(x / size) + Math.floor(y / size)) & 1;
    },
    ground: [
      [190, 190, 180],
      [120, 125, 120],
    ],
    fill: [
      [170, 20, 40],
      [210, 50, 70],
    ],
  },
  'triangle-on-waves': {
    shape: (x, y) => y < 0.8 && y > -1 + 1.9 * Math.abs(x),
    texture: (random) => {
      const phase = 6 * random();
      const length = 12 + 6 * random();
      return (x, y) => 0.5 + 0.5 * Math.sin(y / 4 + 3 * Math.sin(x / length + phase));
    },
    ground: [
      [20, 120, 110],
      [60, 180, 160],
    ],
    fill: [
      [250, 240, 120],
      [230, 210, 60],
    ],
  },
  'ring-on-noise': {
    shape: (x, y) => x * x + y * y < 1 && x * x + y * y > 0.25,
    texture: (random) => () => random(),
    ground: [
      [30, 90, 30],
      [110, 150, 70],
    ],
    fill: [
      [230, 220, 240],
      [190, 170, 230],
    ],
  },
  'cross-on-dots': {
    shape: (x, y) => Math.min(Math.abs(x), Math.abs(y)) < 0.32 && Math.max(Math.abs(x), Math.abs(y)) < 0.95,
    texture: (random) => {
      const pitch = 12 + 6 * random();
      return (x, y) => (Math.hypot((x % pitch) - pitch / 2, (y % pitch) - pitch / 2) < pitch / 3.2 ? 1 : 0);
    },
    ground: [
      [235, 225, 200],
      [200, 120, 150],
    ],
    fill: [
      [40, 30, 90],
      [70, 60, 140],
    ],
  },
  'diamond-on-gradient': {
    shape: (x, y) => Math.abs(x) + Math.abs(y) < 1,
    texture: (random) => {
      const angle = 2 * Math.PI * random();
      return (x, y) => 0.5 + 0.5 * Math.sin((x * Math.cos(angle) + y * Math.sin(angle)) / 60);
    },
    ground: [
      [60, 20, 70],
      [160, 60, 120],
    ],
    fill: [
      [90, 230, 90],
      [40, 180, 60],
    ],
  },
};

/** Draws one scene. The shape's radius is 20 to 30 % of the shorter side and it lies wholly in the picture. */
export async function drawScene(options: SceneOptions): Promise<DrawnScene> {
  const { className, seed = 1, width = 224, height = 224, format = 'jpeg' } = options;
  const recipe = RECIPES[className];
  const random = createRandom(seed * 31 + SCENE_CLASSES.indexOf(className));
  const texture = recipe.texture(random);
  const radius = Math.min(width, height) * (0.2 + 0.1 * random());
  const centreX = radius + (width - 2 * radius) * random();
  const centreY = radius + (height - 2 * radius) * random();
  const rgb = new Uint8Array(width * height * 3);
  const truth = new Uint8Array(width * height);
  for (let y = 0, pixel = 0; y < height; y++) {
    for (let x = 0; x < width; x++, pixel++) {
      const inside = recipe.shape((x + 0.5 - centreX) / radius, (y + 0.5 - centreY) / radius);
      const share = inside ? 0.5 + 0.5 * Math.sin((x + y) / 5) : texture(x, y);
      const [from, to] = inside ? recipe.fill : recipe.ground;
      const grain = 12 * (random() - 0.5);
      for (let channel = 0; channel < 3; channel++) {
        const value = from[channel]! + share * (to[channel]! - from[channel]!) + grain;
        rgb[pixel * 3 + channel] = Math.max(0, Math.min(255, Math.round(value)));
      }
      truth[pixel] = inside ? 1 : 0;
    }
  }
  const picture = sharp(rgb, { raw: { width, height, channels: 3 } });
  const bytes = await (format === 'png' ? picture.png() : picture.jpeg({ quality: 92 })).toBuffer();
  const mediaType = format === 'png' ? 'image/png' : 'image/jpeg';
  return { className, bytes, mediaType, width, height, rgb, truth, bbox: boxOf(truth, width, height) };
}

/**
 * Draws `perClass` scenes of every class, class after class, with the seeds `firstSeed`, `firstSeed + 1`, ...
 * Use disjoint seeds for what is stored and what is asked.
 */
export async function drawScenes(
  options: Omit<SceneOptions, 'className' | 'seed'> & { perClass: number; firstSeed?: number },
): Promise<DrawnScene[]> {
  const { perClass, firstSeed = 1, ...size } = options;
  const scenes: DrawnScene[] = [];
  for (const className of SCENE_CLASSES) {
    for (let index = 0; index < perClass; index++) {
      scenes.push(await drawScene({ ...size, className, seed: firstSeed + index }));
    }
  }
  return scenes;
}

/**
 * Intersection over union of two binary masks of the same length (any non-zero value counts as inside);
 * 1 when both are empty.
 */
export function maskIou(first: Uint8Array, second: Uint8Array): number {
  if (first.length !== second.length) throw new Error(`masks of ${first.length} and ${second.length} pixels`);
  let both = 0;
  let either = 0;
  for (let index = 0; index < first.length; index++) {
    const inFirst = first[index] !== 0;
    const inSecond = second[index] !== 0;
    if (inFirst && inSecond) both++;
    if (inFirst || inSecond) either++;
  }
  return either === 0 ? 1 : both / either;
}

/** A deterministic stream of numbers in [0, 1): mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = state;
    value = Math.imul(value ^ (value >>> 15), value | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
}

function boxOf(truth: Uint8Array, width: number, height: number): [number, number, number, number] {
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (truth[y * width + x] === 0) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
  }
  return [left, top, right - left + 1, bottom - top + 1];
}
