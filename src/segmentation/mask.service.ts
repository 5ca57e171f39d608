import type { Caller } from '../caller.js';
import { DinoError } from '../errors.js';
import type { Model } from '../models/model-registry.js';
import type { ImageInfo } from '../vision/image-reader.js';
import { attentionMasks, type AttentionMask, type HeadChoice } from './attention-mask.js';
import { headRows, type Look, type LookOptions, type PatchLooker } from './patch-looker.js';
import type { FoundMask, MaskOnGrid, PhotoMasks, PhotoMasksOptions } from './photo-masks.js';
import { patchAt, patchesIn, type Box, type Point } from './prompt-place.js';
import type { SegmentationPool, SegmentationTask } from './segmentation-pool.js';

export type MaskMethod = 'attention' | SegmentationTask['method'];

export interface MaskRequest extends LookOptions, PhotoMasksOptions {
  /** Default: `point` or `box` where one is given, else `attention`. */
  readonly method?: MaskMethod;
  /** `attention`: which head's mask. */
  readonly head: HeadChoice;
  /** `attention`: share of the attention mass that a mask holds, 0..1. */
  readonly threshold: number;
  /** `tokencut` and `maskcut`: cosine above which two patches are alike, -1..1; default: the method's. */
  readonly tau?: number;
  /** `maskcut` and `deep-spectral`: most masks wanted, 1..10; default 3. */
  readonly objects?: number;
  /** `point`: a place on the object. */
  readonly point?: Point;
  /** `box`: where the object is. */
  readonly box?: Box;
}

export interface FoundMasks {
  readonly model: Model;
  readonly info: ImageInfo;
  readonly method: MaskMethod;
  /** Best first. */
  readonly masks: readonly FoundMask[];
}

/** Object masks from the features of one image. */
export class MaskService {
  readonly #looker: PatchLooker;
  readonly #pool: SegmentationPool;
  readonly #photoMasks: PhotoMasks;

  constructor(parts: { looker: PatchLooker; pool: SegmentationPool; photoMasks: PhotoMasks }) {
    this.#looker = parts.looker;
    this.#pool = parts.pool;
    this.#photoMasks = parts.photoMasks;
  }

  /** @throws DinoError invalid-request for an option that makes no sense, and as `PatchLooker.look` */
  async find(bytes: Uint8Array, request: MaskRequest, caller?: Caller): Promise<FoundMasks> {
    const method = methodOf(request);
    const wanted = method === 'attention' ? 'attention' : 'keys';
    const look = await this.#looker.look(bytes, [wanted], request, caller);
    const { model, info } = look;
    const onGrid = await this.#masks(look, { ...request, method }, caller);
    const masks = await this.#photoMasks.finish({ bytes, info }, onGrid, request, caller);
    return { model, info, method, masks };
  }

  async #masks(
    { features, info }: Look,
    request: MaskRequest & { readonly method: MaskMethod },
    caller?: Caller,
  ): Promise<MaskOnGrid[]> {
    const { grid } = features;
    const { method, head, threshold, tau, objects, point, box } = request;
    const onGrid = (mask: AttentionMask) => ({ ...mask, grid });
    if (method === 'attention') {
      return attentionMasks({ heads: headRows(features), grid, threshold, head }).map(onGrid);
    }
    const keys = features.keys!;
    const common = { keys, dimension: keys.length / (grid.height * grid.width), grid };
    const tasks: Record<Exclude<MaskMethod, 'attention'>, () => SegmentationTask> = {
      tokencut: () => ({ method: 'tokencut', ...common, tau }),
      lost: () => ({ method: 'lost', ...common }),
      maskcut: () => ({ method: 'maskcut', ...common, tau, objects }),
      'deep-spectral': () => ({ method: 'deep-spectral', ...common, objects }),
      point: () => ({ method: 'point', ...common, patch: patchAt(point!, info, grid) }),
      box: () => ({ method: 'box', ...common, box: patchesIn(box!, info, grid) }),
    };
    return (await this.#pool.run(tasks[method](), caller?.signal)).map(onGrid);
  }
}

/** @throws DinoError `invalid-request` where method and prompt don't fit together */
function methodOf({ method, point, box }: MaskRequest): MaskMethod {
  const prompts = { point, box };
  if (point !== undefined && box !== undefined) {
    throw new DinoError('invalid-request', 'Give a point or a box, not both.');
  }
  for (const prompt of ['point', 'box'] as const) {
    const isGiven = prompts[prompt] !== undefined;
    if (isGiven && (method ?? prompt) !== prompt) {
      throw new DinoError('invalid-request', `A ${prompt} is for the method ${prompt}, not for ${method}.`);
    }
    if (isGiven) return prompt;
    if (method === prompt) {
      throw new DinoError('invalid-request', `The method ${prompt} takes a ${prompt}, and there is none.`);
    }
  }
  return method ?? 'attention';
}
