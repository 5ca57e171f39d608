import { compareIds } from '../id-order.js';
import type { SearchedVectors } from '../image-objects.js';
import type { CollectionIndex, IndexQuery } from './collection-index.js';
import { objectLabel } from './object-table.js';
import type { ScoredLabel } from './vector-table.js';

/** An image that was found, by itself or by one of its objects. */
export interface FoundLabel extends ScoredLabel {
  /** The object whose vector has the score; undefined: the image's own. */
  readonly object?: { readonly label: number; readonly number: number };
}

interface ObjectPlace {
  readonly imageLabel: number;
  readonly id: string;
  readonly number: number;
}

/** How much deeper each look goes than the one before that met too few images. */
const DEEPER = 4;
const FIRST_LOOK_MARGIN = 16;

/**
 * The vectors of a collection's objects and the graph over them, beside those of its images: a search of images alone
 * meets nothing of them. Asked in labels of images, and answers with the best object of each.
 */
export class ObjectIndex {
  private readonly places = new Map<number, ObjectPlace>();
  /** Labels of objects by that of their image. */
  private readonly objects = new Map<number, number[]>();

  constructor(readonly index: CollectionIndex) {}

  /** Objects held now. */
  get size(): number {
    return this.index.vectors.size;
  }

  /** Takes in a vector that is on disk at a start, before the graph is loaded. */
  load(place: ObjectPlace, vector: Float32Array): void {
    this.index.vectors.add(this.note(place), orderedId(place), vector);
  }

  /** Takes in the vector of a new version's object. `index.vectors.reserve` first: it must not fail after a commit. */
  insert(place: ObjectPlace, vector: Float32Array): void {
    this.index.insert(this.note(place), orderedId(place), vector);
  }

  private note(place: ObjectPlace): number {
    const label = objectLabel(place.imageLabel, place.number);
    this.places.set(label, place);
    const ofImage = this.objects.get(place.imageLabel);
    if (ofImage === undefined) this.objects.set(place.imageLabel, [label]);
    else ofImage.push(label);
    return label;
  }

  /** Forgets the objects of a version of an image, if it has any. */
  removeOf(imageLabel: number): void {
    for (const label of this.labelsOf(imageLabel)) {
      this.index.remove(label);
      this.places.delete(label);
    }
    this.objects.delete(imageLabel);
  }

  /** As `CollectionIndex.search`, in labels of images: the best object of each. */
  search(query: IndexQuery): FoundLabel[] {
    const excluded = new Set([...query.excluded].flatMap((label) => this.labelsOf(label)));
    const matching = query.matching?.flatMap((label) => this.labelsOf(label));
    for (let depth = query.k + FIRST_LOOK_MARGIN; ; depth *= DEEPER) {
      const found = this.index.search({ ...query, k: depth, matching, excluded });
      const best = new Map<number, FoundLabel>();
      for (const { label, score } of found) {
        const { imageLabel, id, number } = this.places.get(label)!;
        if (!best.has(imageLabel))
          best.set(imageLabel, { label: imageLabel, id, score, object: { label, number } });
      }
      if (best.size >= query.k || found.length < depth) return [...best.values()].slice(0, query.k);
    }
  }

  private labelsOf(imageLabel: number): readonly number[] {
    return this.objects.get(imageLabel) ?? [];
  }
}

/** Puts equal scores in the order of the images' ids, then of the objects' numbers; no id has a control character. */
function orderedId({ id, number }: ObjectPlace): string {
  return `${id}\0${String.fromCharCode(number)}`;
}

/** Searches the vectors asked for; at most one hit for each image, its best, and its own before an object's as good. */
export function searchVectors(
  { index, objects }: { readonly index: CollectionIndex; readonly objects: ObjectIndex },
  query: IndexQuery,
  among: SearchedVectors,
): FoundLabel[] {
  if (among === 'images') return index.search(query);
  if (among === 'objects') return objects.search(query);
  const best = new Map<number, FoundLabel>();
  // An image among the best k of all is among the best k of the images or of the objects, by its better score.
  for (const hit of [...index.search(query), ...objects.search(query)]) {
    const before = best.get(hit.label);
    if (before === undefined || hit.score > before.score) best.set(hit.label, hit);
  }
  return [...best.values()].sort((a, b) => b.score - a.score || compareIds(a.id, b.id)).slice(0, query.k);
}
