/** A metadata value: text, number, boolean, or a list of texts or of numbers. */
export type MetadataValue = string | number | boolean | string[] | number[];

/** Flat: field name to value. */
export type Metadata = { [field: string]: MetadataValue };

export type FilterScalar = string | number | boolean;

/** A point in time to compare with. */
export interface FilterDate {
  /**
   * ISO 8601, e.g. `2024-05-01` or `2024-05-01T10:00:00+02:00`; UTC where no offset is given. Texts in the metadata
   * that are such dates are compared as instants, to the millisecond; all other values never match.
   */
  date: string;
}

export type FilterValue = FilterScalar | FilterDate;

export type FilterBound = string | number | FilterDate;

/**
 * A condition on metadata: either one combination (`and`, `or`, `not`), or `field` with one or more
 * operators that must all hold. A list field matches when any one of its elements satisfies `eq`, `in`
 * and the bounds together. Values of different types never match. Texts are compared as they are; as dates only
 * with `{"date": ...}`, which stands beside no other type in one condition. Images without the field match only
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
  eq?: FilterValue;
  /** The field is there, and neither it nor an element of its list is equal; so a list matches only without it. */
  ne?: FilterValue;
  /** Equal to one of; an empty list matches nothing. */
  in?: FilterValue[];
  /** Greater than (numbers by value, texts by code point, dates by instant). */
  gt?: FilterBound;
  /** Greater than or equal. */
  gte?: FilterBound;
  /** Less than. */
  lt?: FilterBound;
  /** Less than or equal. */
  lte?: FilterBound;
  /** The field is there (true) or not (false). */
  exists?: boolean;
}
