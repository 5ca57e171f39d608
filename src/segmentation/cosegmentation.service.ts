import type { Caller } from '../caller.js';
import type { Model } from '../models/model-registry.js';
import type { ImageInfo } from '../vision/image-reader.js';
import { assertFew, type CosegmentOptions } from './cosegment.js';
import type { LookOptions, PatchLooker } from './patch-looker.js';
import type { FoundMask, PhotoMasks, PhotoMasksOptions } from './photo-masks.js';
import type { SegmentationPool } from './segmentation-pool.js';

export type CosegmentationRequest = LookOptions &
  PhotoMasksOptions &
  Omit<CosegmentOptions, 'images' | 'dimension'>;

/** An image and the common objects in it. */
export interface CosegmentedImage {
  readonly bytes: Uint8Array;
  readonly info: ImageInfo;
  /** One, or none where nothing of what the images have in common is in it. */
  readonly masks: readonly FoundMask[];
}

export interface FoundCosegmentation {
  readonly model: Model;
  /** Clusters that the patches of all images fall into. */
  readonly clusters: number;
  /** In the order of the request. */
  readonly images: readonly CosegmentedImage[];
}

/** What a few images have in common, as masks. */
export class CosegmentationService {
  readonly #looker: PatchLooker;
  readonly #pool: SegmentationPool;
  readonly #photoMasks: PhotoMasks;

  constructor(parts: { looker: PatchLooker; pool: SegmentationPool; photoMasks: PhotoMasks }) {
    this.#looker = parts.looker;
    this.#pool = parts.pool;
    this.#photoMasks = parts.photoMasks;
  }

  /** @throws DinoError as `PatchLooker.look` and `SegmentationPool.cosegment` */
  async find(
    images: readonly Uint8Array[],
    request: CosegmentationRequest,
    caller?: Caller,
  ): Promise<FoundCosegmentation> {
    assertFew(images.length);
    const { elbow, saliency, votes, clusters: most } = request;
    const looks = await Promise.all(
      images.map((bytes) => this.#looker.look(bytes, ['keys', 'attention'], request, caller)),
    );
    const [{ model, features: first }] = looks as [(typeof looks)[number]];
    const dimension = first.keys!.length / (first.grid.height * first.grid.width);
    const features = looks.map(({ features: { keys, attention, grid } }) => ({
      keys: keys!,
      attention: attention!,
      grid,
    }));
    const options = { images: features, dimension, elbow, saliency, votes, clusters: most };
    const { clusters, masks } = await this.#pool.cosegment(options, caller?.signal);
    const found: CosegmentedImage[] = [];
    for (const [index, { info, features }] of looks.entries()) {
      const photo = { bytes: images[index]!, info };
      const mask = masks[index];
      const onGrid = mask === undefined ? [] : [{ ...mask, grid: features.grid }];
      found.push({ ...photo, masks: await this.#photoMasks.finish(photo, onGrid, request, caller) });
    }
    return { model, clusters, images: found };
  }
}
