import { describe, expect, it } from 'vitest';
import { readManifest } from '#dino/models/model-folder.js';
import { planPatches } from '#dino/models/patch-plan.js';

const manifest = await readManifest(
  new URL('../../../models/dino-vitmicro16-photos', import.meta.url).pathname,
);
const fixed = {
  ...manifest,
  name: 'fixed',
  input: { ...manifest.input, multipleOf: 224, fixedSize: 224 },
  preprocessing: { ...manifest.preprocessing, attentionSize: 224 },
};

describe('the size at which a model looks at a whole image', () => {
  it('is its own unless another is asked for', () => {
    expect(planPatches(manifest)).toEqual({ longerSide: 480, multipleOf: 16 });
    expect(planPatches(manifest, 320)).toEqual({ longerSide: 320, multipleOf: 16 });
  });

  it('is the only one that a graph of one size takes; another is refused with advice', () => {
    expect(planPatches(fixed)).toEqual({ longerSide: 224, multipleOf: 224 });
    expect(planPatches(fixed, 224)).toEqual({ longerSide: 224, multipleOf: 224 });
    expect(() => planPatches(fixed, 480)).toThrow(
      "The model fixed looks at images at 224 px alone, so the size can't be 480. Leave it out.",
    );
  });
});
