import type { SearchHit } from './collection-store.js';

/**
 * The hits of a search, best first. A store that has them as JSON text sends that to the client as it is; objects are made
 * of it only where somebody looks at them.
 */
export class SearchHits {
  private constructor(
    private readonly text: string | undefined,
    private readonly read: () => SearchHit[],
  ) {}

  static of(hits: SearchHit[]): SearchHits {
    return new SearchHits(undefined, () => hits);
  }

  /**
   * @param json the list of hits without their vectors
   * @param vectors one per hit, where they were asked for
   */
  static ofJson(json: string, vectors?: readonly Float32Array[]): SearchHits {
    return new SearchHits(json, () => {
      const hits = JSON.parse(json) as SearchHit[];
      return vectors === undefined ? hits : hits.map((hit, i) => ({ ...hit, vector: vectors[i]! }));
    });
  }

  list(): SearchHit[] {
    return this.read();
  }

  /** Without their vectors. */
  toJson(): string {
    return this.text ?? JSON.stringify(this.read().map((hit) => ({ ...hit, vector: undefined })));
  }
}
