import { z } from 'zod';
import { keptMeasurement } from '../kept-measurement.js';
import type { Manifest } from './manifest.js';
import { scanModels, type FoundModel, type ModelFolders } from './scan-models.js';

/** `named`: the model of that name. `auto`: the fastest on this machine of the precisions that keep its accuracy. */
export const PRECISION_CHOICES = ['named', 'auto', 'fp32', 'fp16', 'int8'] as const;
export type PrecisionChoice = (typeof PRECISION_CHOICES)[number];

/** Least cosine to fp32 of an embedding, as the export measured it on photos, that counts as the same accuracy. */
const LEAST_COSINE = 0.999;
/** What the folders of a model's other precisions have behind its name. */
const SUFFIXES = ['-fp16', '-int8', '-int8-static'];

export interface ChoosePrecisionOptions {
  /** The model as it is named in the settings. */
  readonly model: string;
  readonly precision: PrecisionChoice;
  readonly folders: ModelFolders;
  /** Seconds that one embedding takes. @throws where the model can't be opened */
  readonly measure: (model: FoundModel) => Promise<number>;
  /** What the measurements depend on beside the files: the machine's type, the runtime's version. */
  readonly machine: string;
  /** Folder that measurements are kept in; made when it isn't there. */
  readonly cacheDir: string;
  /** Told, in one sentence, of a model that could not be measured. */
  readonly onWarning: (message: string) => void;
}

const keptSeconds = z.record(z.string(), z.number().positive());

/**
 * The name of the default model: of the precisions of a model that are there, each a folder of its own, the one asked for.
 *
 * @throws Error where none of that precision is there
 */
export async function choosePrecision(options: ChoosePrecisionOptions): Promise<string> {
  const { model, precision, folders } = options;
  if (precision === 'named') return model;
  const { found } = await scanModels(folders);
  const named = found.find(({ manifest }) => manifest.name === model);
  // The registry says what is wrong with it.
  if (named === undefined) return model;
  const siblings = found.filter(({ manifest }) => isSibling(manifest, named.manifest));
  const candidates = [named, ...siblings].filter(({ manifest }) =>
    precision === 'auto'
      ? manifest === named.manifest || keepsAccuracy(manifest)
      : manifest.file.precision === precision,
  );
  if (candidates.length === 0) {
    const there = [named, ...siblings].map(({ manifest }) => manifest.name).join(', ');
    throw new Error(
      `the model ${model} is not there in ${precision}; there are: ${there}. Import it with --precision ${precision}, or set DINO_PRECISION to another`,
    );
  }
  return candidates.length === 1 ? candidates[0]!.manifest.name : fastest(candidates, options);
}

function isSibling(manifest: Manifest, named: Manifest): boolean {
  const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  return (
    SUFFIXES.some((suffix) => manifest.name === `${named.name}${suffix}`) &&
    isSame(manifest.architecture, named.architecture) &&
    isSame(manifest.preprocessing, named.preprocessing)
  );
}

const parityRecord = z.object({
  photos: z.number().int().positive(),
  minCosine: z.object({ embedding: z.number() }),
});

/** Whether the export has held its embeddings against fp32's on photos, and found them the same. */
function keepsAccuracy({ parity }: Manifest): boolean {
  const record = parityRecord.safeParse(parity);
  return record.success && record.data.minCosine.embedding >= LEAST_COSINE;
}

async function fastest(
  candidates: readonly FoundModel[],
  { measure, machine, cacheDir, model, onWarning }: ChoosePrecisionOptions,
): Promise<string> {
  const measureAll = async () => {
    const seconds: Record<string, number> = {};
    for (const candidate of candidates) {
      const { name } = candidate.manifest;
      try {
        seconds[name] = await measure(candidate);
      } catch (error) {
        onWarning(`The model ${name} is left out: it can't be run (${(error as Error).message}).`);
      }
    }
    return seconds;
  };
  const seconds = await keptMeasurement(
    [machine, ...candidates.map(({ manifest }) => manifest.file.sha256)],
    {
      folder: cacheDir,
      schema: keptSeconds,
      measure: measureAll,
      // What failed is tried again.
      isWhole: (all) => Object.keys(all).length === candidates.length,
    },
  );
  const there = new Map(Object.entries(seconds));
  const ranked = candidates
    .map(({ manifest }) => manifest.name)
    .filter((name) => there.has(name))
    .sort((a, b) => there.get(a)! - there.get(b)!);
  return ranked[0] ?? model;
}
