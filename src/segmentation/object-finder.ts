import type { Caller } from '../caller.js';
import type { Model } from '../models/model-registry.js';
import type { MaskMethod, MaskService } from './mask.service.js';
import type { BoundingBox } from './pixel-mask.js';

export interface ObjectsAsked {
  readonly method: Exclude<MaskMethod, 'attention' | 'point' | 'box'>;
  /** Most objects wanted, 1..10. */
  readonly max: number;
}

/** The places of an image's objects, with a model looking at its default size. */
export class ObjectFinder {
  readonly #masks: MaskService;

  constructor(masks: MaskService) {
    this.#masks = masks;
  }

  /**
   * @returns in the method's order, with the model that has looked: another one may have come under its name
   * @throws DinoError as `MaskService.find`
   */
  async find(
    bytes: Uint8Array,
    modelName: string,
    { method, max }: ObjectsAsked,
    caller?: Caller,
  ): Promise<{ model: Model; found: { bbox: BoundingBox; score: number }[] }> {
    const request = { method, objects: max, model: modelName, head: 'best', threshold: 0.6 } as const;
    const { model, masks } = await this.#masks.find(bytes, request, caller);
    return { model, found: masks.slice(0, max).map(({ bbox, score }) => ({ bbox, score })) };
  }
}
