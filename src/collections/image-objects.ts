/** How the objects of an image may be found; see the methods of `MaskService`. */
export const OBJECT_METHODS = ['maskcut', 'tokencut', 'lost', 'deep-spectral'] as const;
export type ObjectMethod = (typeof OBJECT_METHODS)[number];

export const MAX_OBJECTS = 10;
export const DEFAULT_OBJECTS = 3;

/** How the objects of an image were looked for. */
export interface ObjectSetting {
  readonly method: ObjectMethod;
  /** Most objects kept, 1..10; `tokencut` and `lost` find one at most. */
  readonly max: number;
}

/** An object that an image shows. */
export interface ImageObject {
  /** `[x, y, width, height]` in px of the image, after EXIF orientation. */
  readonly bbox: [x: number, y: number, width: number, height: number];
  /** As the method scores its masks. */
  readonly score: number;
}

/** An image's objects, in the method's order. */
export interface ImageObjects extends ObjectSetting {
  readonly found: ImageObject[];
}

/** An object with what stands for it. */
export interface NewObject extends ImageObject {
  /** Any length but zero: the store normalises to unit length. `dimension` finite elements. */
  readonly vector: Float32Array;
}

export interface NewObjects extends ObjectSetting {
  /** In the method's order; at most `max`. */
  readonly found: readonly NewObject[];
}

/** Which vectors a search compares with: those of whole images, of their objects, or of both. */
export const SEARCHED_VECTORS = ['images', 'objects', 'both'] as const;
export type SearchedVectors = (typeof SEARCHED_VECTORS)[number];

export function isSameSetting(a: ObjectSetting | undefined, b: ObjectSetting | undefined): boolean {
  return a?.method === b?.method && a?.max === b?.max;
}
