import type { Filter, FilterScalar } from '../../collections/filter.js';

export interface CountRequest {
  /** Default: all images. */
  filter?: Filter;
}

export interface CountResponse {
  /** Images that match the filter. */
  count: number;
}

export interface FacetRequest {
  /** Metadata field. */
  field: string;
  /** Default: all images. */
  filter?: Filter;
  /**
   * Values wanted, the most frequent. Default 100.
   * @isInt
   * @minimum 1
   * @maximum 1000
   */
  limit?: number;
}

export interface FacetCount {
  /** With its type: `1`, `"1"` and `true` are three values. */
  value: FilterScalar;
  /** Images that have it; a list counts for each different element. */
  count: number;
}

export interface FacetResponse {
  /** Most frequent first; equal counts with numbers before texts before booleans, each ascending. */
  values: FacetCount[];
  /** Different values that there are. */
  distinct: number;
  /** Images that match the filter. */
  total: number;
  /** Those of them without the field. */
  missing: number;
}
