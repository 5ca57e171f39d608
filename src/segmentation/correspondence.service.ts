import type { Caller } from '../caller.js';
import type { Features, Grid } from '../inference/features.js';
import type { Model } from '../models/model-registry.js';
import type { ImageInfo } from '../vision/image-reader.js';
import { renderAgreement } from '../vision/render-agreement.js';
import { renderPairs, type Point } from '../vision/render-pairs.js';
import { bestBuddies, type BestBuddiesOptions } from './best-buddies.js';
import type { MatchesBothWays, PatchFeatures } from './best-matches.js';
import type { MatchingPool } from './matching-pool.js';
import type { LookOptions, PatchLooker } from './patch-looker.js';

/** What of a patch is compared: its key in the last block, or its token after the last LayerNorm. */
export type MatchFeatures = 'keys' | 'patch_tokens';

export interface MatchOptions extends LookOptions {
  readonly features: MatchFeatures;
  /** Whether a patch is compared with its surroundings; see `binnedMatches`. */
  readonly binned: boolean;
}

export interface LookedAt {
  readonly info: ImageInfo;
  readonly grid: Grid;
}

/** A pair of patches, by their centres in the images' own pixels. */
export interface PointPair {
  readonly score: number;
  readonly first: Point;
  readonly second: Point;
}

export interface Correspondences {
  readonly model: Model;
  readonly images: readonly [LookedAt, LookedAt];
  /** Best score first. */
  readonly pairs: readonly PointPair[];
}

/** For every patch of an image how like it the most similar patch of the other image is. */
export interface Agreement {
  readonly model: Model;
  readonly images: readonly [LookedAt, LookedAt];
  /** Cosines, -1..1, one a patch row by row. */
  readonly scores: readonly [Float32Array, Float32Array];
}

type TwoImages = readonly [Uint8Array, Uint8Array];

/** What two images have in common, patch by patch. */
export class CorrespondenceService {
  readonly #looker: PatchLooker;
  readonly #pool: MatchingPool;

  constructor(parts: { looker: PatchLooker; pool: MatchingPool }) {
    this.#looker = parts.looker;
    this.#pool = parts.pool;
  }

  /** @throws DinoError as `PatchLooker.look` and `MatchingPool.run` */
  async find(
    images: TwoImages,
    options: MatchOptions & BestBuddiesOptions,
    caller?: Caller,
  ): Promise<Correspondences> {
    const { model, looked, matches } = await this.#match(images, options, caller);
    const pairs = bestBuddies(matches, options).map(({ first, second, score }) => ({
      score,
      first: centreOf(first, looked[0]),
      second: centreOf(second, looked[1]),
    }));
    return { model, images: looked, pairs };
  }

  /** @throws DinoError as `find` */
  async agreement(images: TwoImages, options: MatchOptions, caller?: Caller): Promise<Agreement> {
    const { model, looked, matches } = await this.#match(images, options, caller);
    return { model, images: looked, scores: [matches.first.scores, matches.second.scores] };
  }

  /** A PNG: both images side by side with a line for each pair. */
  picture(images: TwoImages, found: Correspondences): Promise<Uint8Array> {
    return renderPairs({ images, pairs: found.pairs });
  }

  /** A PNG: both images side by side, bright where they agree. */
  agreementPicture(
    images: TwoImages,
    { images: looked, scores }: Agreement,
    opacity: number,
  ): Promise<Uint8Array> {
    const maps = ([0, 1] as const).map((at) => ({
      image: images[at],
      grid: looked[at].grid,
      values: scores[at],
    }));
    return renderAgreement({ maps, opacity });
  }

  async #match(images: TwoImages, options: MatchOptions, caller?: Caller) {
    const looks = await Promise.all(
      images.map((bytes) => this.#looker.look(bytes, [options.features], options, caller)),
    );
    const [first, second] = looks.map(({ features }) => featuresOf(features, options.features));
    const matches: MatchesBothWays = await this.#pool.run(
      { first: first!, second: second!, binned: options.binned },
      caller?.signal,
    );
    const looked = looks.map(({ info, features }) => ({ info, grid: features.grid }));
    return { model: looks[0]!.model, looked: looked as unknown as [LookedAt, LookedAt], matches };
  }
}

function featuresOf({ grid, keys, patchTokens }: Features, name: MatchFeatures): PatchFeatures {
  const values = (name === 'keys' ? keys : patchTokens)!;
  return { values, dimension: values.length / (grid.height * grid.width), grid };
}

/** The middle of a patch in px of the image. */
function centreOf(patch: number, { info, grid }: LookedAt): Point {
  return {
    x: (((patch % grid.width) + 0.5) * info.width) / grid.width,
    y: ((Math.floor(patch / grid.width) + 0.5) * info.height) / grid.height,
  };
}
