import { UsageError } from './read-options.js';
import { embedPhotos } from './real-vectors.js';
import { cosine, knnAccuracy, type Labelled } from './knn.js';
import { classOf, NO_CLASS } from './photos.js';

export interface Int8Accuracy {
  readonly photos: number;
  /** Percent. */
  readonly knn: { readonly fp32: number; readonly int8: number };
  readonly meanCosine: number;
  readonly leastCosine: number;
}

/**
 * What int8 costs: the k-NN accuracy of labelled photos among others, and the cosine of each photo's two vectors.
 *
 * @param options.fp32 model folder with trained weights
 * @param options.int8 model folder with the same in int8
 */
export async function compareInt8(options: {
  fp32: string;
  int8: string;
  stored: string;
  asked: string;
  limit: number;
}): Promise<Int8Accuracy> {
  const labelled = async (model: string, tar: string): Promise<Labelled[]> => {
    const { rows, names } = await embedPhotos([tar], model, options.limit);
    return rows.map((vector, i) => ({ vector, label: classOf({ name: names[i]! }) }));
  };
  const ofClass = (all: readonly Labelled[]) => all.filter(({ label }) => label !== NO_CLASS);
  // A tar may have its photos class by class.
  const requireSome = (found: readonly Labelled[]): void => {
    if (found.length === 0)
      throw new UsageError(`there is no labelled photo among ${options.limit}: say more with --knn`);
  };
  const accuracy = async (model: string): Promise<{ percent: number; asked: Labelled[] }> => {
    const asked = ofClass(await labelled(model, options.asked));
    const stored = ofClass(await labelled(model, options.stored));
    requireSome(asked);
    requireSome(stored);
    return { percent: 100 * knnAccuracy(stored, asked), asked };
  };
  const [fp32, int8] = [await accuracy(options.fp32), await accuracy(options.int8)];
  const cosines = fp32.asked.map(({ vector }, i) => cosine(vector, int8.asked[i]!.vector));
  return {
    photos: cosines.length,
    knn: { fp32: fp32.percent, int8: int8.percent },
    meanCosine: cosines.reduce((sum, value) => sum + value, 0) / cosines.length,
    leastCosine: Math.min(...cosines),
  };
}
