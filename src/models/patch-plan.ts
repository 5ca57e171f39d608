import { DinoError } from '../errors.js';
import type { Manifest } from './manifest.js';

/** At which size a model looks at a whole image; see `ImageReader.forPatches`. */
export interface PatchPlan {
  /** Pixels. */
  readonly longerSide: number;
  readonly multipleOf: number;
}

/**
 * @param size longer side in px; default: the model's own
 * @throws DinoError invalid-request for another size than the only one that the model takes
 */
export function planPatches({ name, input, preprocessing }: Manifest, size?: number): PatchPlan {
  const { multipleOf, fixedSize } = input;
  if (fixedSize !== undefined && size !== undefined && size !== fixedSize) {
    const detail = `The model ${name} looks at images at ${fixedSize} px alone, so the size can't be ${size}. Leave it out.`;
    throw new DinoError('invalid-request', detail);
  }
  return { longerSide: size ?? preprocessing.attentionSize, multipleOf };
}
