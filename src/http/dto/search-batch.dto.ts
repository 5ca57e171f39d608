import type { SearchRequest, SearchResult } from './collection.dto.js';
import type { Problem } from './problem.dto.js';

export interface SearchBatchRequest {
  /**
   * Each as `POST .../search` takes it in JSON.
   * @minItems 1
   * @maxItems 100
   */
  queries: SearchRequest[];
}

/** What became of one query. */
export interface SearchBatchItem {
  /** As in the answer of a single search; empty where the query failed. */
  results: SearchResult[];
  /** Why it failed. */
  error?: Problem;
}

export interface SearchBatchResponse {
  /** One for each query, in order. */
  answers: SearchBatchItem[];
  model: string;
  /** Time on the server in ms, for all of them. */
  tookMs: number;
}
