import type { FilterScalar, MetadataValue } from '../filter.js';
import type { ScoredLabel } from './vector-table.js';

/** What a walk looks at: an image, where it stands, and what its field holds. */
export interface WalkedImage<T extends ScoredLabel> {
  readonly hit: T;
  /** The field's value; undefined where the image lacks it. */
  readonly value: MetadataValue | undefined;
}

export interface Group<T> {
  readonly value: FilterScalar;
  readonly hits: T[];
}

/** Puts images, best first, into groups by the elements of a field; an image of several elements goes into each. */
export class GroupWalk<T extends ScoredLabel> {
  private readonly open = new Map<string, Group<T>>();

  /**
   * @param limit groups wanted
   * @param size images wanted in each
   */
  constructor(
    private readonly limit: number,
    private readonly size: number,
  ) {}

  /** In order of their best image. */
  get groups(): Group<T>[] {
    return [...this.open.values()];
  }

  get mayOpen(): boolean {
    return this.open.size < this.limit;
  }

  get isComplete(): boolean {
    return !this.mayOpen && this.groups.every((group) => group.hits.length >= this.size);
  }

  /** Values of the groups that have all images they may have, or of those that have not. */
  values(which: 'full' | 'unfilled'): FilterScalar[] {
    return this.groups
      .filter(({ hits }) => hits.length >= this.size === (which === 'full'))
      .map(({ value }) => value);
  }

  /**
   * @param isWelcome asked once, where there is a place
   * @returns whether it was put anywhere
   */
  place({ hit, value }: WalkedImage<T>, isWelcome: () => boolean): boolean {
    const elements = value === undefined ? [] : [...new Set<FilterScalar>([value].flat())];
    const free = elements.filter((element) => {
      const group = this.open.get(keyOf(element));
      return group === undefined ? this.mayOpen : group.hits.length < this.size;
    });
    if (free.length === 0 || !isWelcome()) return false;
    for (const element of free) {
      const group = this.open.get(keyOf(element));
      if (group !== undefined) group.hits.push(hit);
      // The image's own elements may take the last places.
      else if (this.mayOpen) this.open.set(keyOf(element), { value: element, hits: [hit] });
    }
    return true;
  }
}

function keyOf(value: FilterScalar): string {
  return `${typeof value} ${value}`;
}
