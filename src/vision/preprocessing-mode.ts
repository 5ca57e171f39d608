/**
 * `exact` decodes every pixel and scales once, as Pillow does. `fast` does the same, except that a JPEG of at least
 * four times the width and height that are asked for is decoded at 1/2, 1/4 or 1/8 of its size first;
 * docs/preprocessing.md has what it costs and gains.
 */
export const PREPROCESSING_MODES = ['exact', 'fast'] as const;

export type PreprocessingMode = (typeof PREPROCESSING_MODES)[number];
