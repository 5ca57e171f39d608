import { DinoError } from '../../errors.js';
import type { Collection, CollectionSettings } from '../collection-store.js';
import { refuse, show } from '../input-checks.js';
import type { ImageRecord } from '../validate-image.js';
import type { CollectionIndex } from './collection-index.js';
import type { ObjectIndex } from './object-index.js';
import type { CollectionRow } from './sqlite-catalog.js';

/** A collection in memory. */
export interface OpenCollection {
  row: CollectionRow;
  index: CollectionIndex;
  objects: ObjectIndex;
  /** What it becomes, while it is re-embedded: filled beside it, seen by nobody. */
  next?: { row: CollectionRow; readonly index: CollectionIndex };
}

const NEVER_CHANGE = ['dimension', 'm', 'efConstruction'] as const;
const ALTERABLE = ['ef', 'content', 'thumbnails'] as const;
const SETTINGS = ['model', 'modelFingerprint', ...NEVER_CHANGE, ...ALTERABLE] as const;

export function describe({ row, index, objects, next }: OpenCollection): Collection {
  const { name, model, modelFingerprint, dimension, m, efConstruction, ef, content, thumbnails, createdAt } =
    row;
  return {
    name,
    model,
    modelFingerprint,
    dimension,
    m,
    efConstruction,
    ef,
    content,
    thumbnails,
    count: index.vectors.size,
    objects: objects.size,
    createdAt,
    ...(next === undefined
      ? {}
      : {
          reembedding: {
            model: next.row.model,
            modelFingerprint: next.row.modelFingerprint,
            dimension: next.row.dimension,
          },
        }),
  };
}

/** Takes a version that has been replaced or deleted out of the memory. */
export function forget({ index, objects, next }: OpenCollection, label: number): void {
  index.remove(label);
  objects.removeOf(label);
  if (next?.index.vectors.has(label)) next.index.remove(label);
}

/** @throws conflict when the settings are not those of the collection, naming what to do */
export function settingsDiffer(row: CollectionRow, settings: CollectionSettings): void {
  const field = SETTINGS.find((key) => row[key] !== settings[key]);
  if (field === undefined) return;
  throw new DinoError(
    'conflict',
    `Collection "${row.name}" is there with ${field} ${row[field]}, not ${settings[field]}. ${remedy(field)}`,
  );
}

function remedy(field: (typeof SETTINGS)[number]): string {
  if ((ALTERABLE as readonly string[]).includes(field)) return 'Alter the collection to change it.';
  if ((NEVER_CHANGE as readonly string[]).includes(field)) {
    return 'It never changes; use another name, or delete the collection first.';
  }
  return 'Re-embed the collection to give it another model, or use another name.';
}

/** @throws conflict when a vector is not of the collection's model */
export function requireModel(
  { name, model, modelFingerprint }: CollectionRow,
  given: string | undefined,
): void {
  if (given === undefined || given === modelFingerprint) return;
  throw new DinoError(
    'conflict',
    `Collection "${name}" is of the model ${model} (${modelFingerprint.slice(0, 12)}) now, but the vector is of another (${given.slice(0, 12)}). Try again: vectors of two models do not mix.`,
  );
}

/** @throws invalid-request when the collection keeps thumbnails and an image has none; a vector alone needs none */
export function requireThumbnails({ name, thumbnails }: CollectionRow, images: readonly ImageRecord[]): void {
  if (!thumbnails) return;
  const without = images.find(({ content, thumbnail }) => content !== undefined && thumbnail === undefined);
  if (without !== undefined) {
    refuse(`Collection "${name}" keeps thumbnails, but image ${show(without.id)} has none.`);
  }
}

/** Objects have no vectors of the next model. @throws conflict while the collection is re-embedded */
export function requireNoObjects({ row, next }: OpenCollection, images: readonly ImageRecord[]): void {
  if (next === undefined || images.every(({ objects }) => objects === undefined)) return;
  throw new DinoError(
    'conflict',
    `Collection "${row.name}" is being re-embedded, and objects are not. Wait for the job, or cancel it, or store the images without objects.`,
  );
}

/** Everything that is kept up in the background. */
export function indexesOf({ index, objects, next }: OpenCollection): CollectionIndex[] {
  return next === undefined ? [index, objects.index] : [index, objects.index, next.index];
}
