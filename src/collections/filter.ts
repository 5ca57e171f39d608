/** A metadata value: text, number, boolean, or a list of texts or of numbers. */
export type MetadataValue = string | number | boolean | string[] | number[];

/** Flat: field name to value. */
export type Metadata = { [field: string]: MetadataValue };

export type FilterScalar = string | number | boolean;

/**
 * A condition on metadata: either one combination (`and`, `or`, `not`), or `field` with one or more
 * operators that must all hold. A list field matches when any one of its elements satisfies `eq`, `in`
 * and the bounds together. Values of different types never match. Images without the field match only
 * `exists: false` and `not`.
 *
 * An empty condition is refused, and so are empty `and` and `or`. At most 16 levels, 256 conditions and
 * 4096 values; `validate-filter.ts` checks all of this.
 *
 * @example { "and": [{ "field": "class", "in": ["cat", "dog"] }, { "field": "year", "gte": 2020 }] }
 */
export interface Filter {
  /** All of these hold. */
  and?: Filter[];
  /** At least one of these holds. */
  or?: Filter[];
  /** This does not hold. */
  not?: Filter;
  /** Name of the metadata field the operators below look at. */
  field?: string;
  /** Equal to. */
  eq?: FilterScalar;
  /** The field is there, and neither it nor an element of its list is equal; so a list matches only without it. */
  ne?: FilterScalar;
  /** Equal to one of; an empty list matches nothing. */
  in?: FilterScalar[];
  /** Greater than (numbers by value, texts by code point). */
  gt?: string | number;
  /** Greater than or equal. */
  gte?: string | number;
  /** Less than. */
  lt?: string | number;
  /** Less than or equal. */
  lte?: string | number;
  /** The field is there (true) or not (false). */
  exists?: boolean;
}
