import type { Filter } from '../../collections/filter.js';

export interface DuplicatesRequest {
  /**
   * Cosine from which two images are near-duplicates. Default 0.95.
   * @minimum 0
   * @maximum 1
   */
  threshold?: number;
  /** Only among the images that match. */
  filter?: Filter;
  /**
   * true: every image is compared with every other; false: each is searched for by the graph, which may miss a pair;
   * default: true up to 20,000 images.
   */
  exact?: boolean;
  /**
   * Pairs given, the most similar; the groups are of all pairs. Default 1000.
   * @isInt
   * @minimum 0
   * @maximum 100000
   */
  maxPairs?: number;
}
