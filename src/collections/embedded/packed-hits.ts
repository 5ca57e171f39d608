import type { SearchHit } from '../collection-store.js';
import { SearchHits } from '../search-hits.js';

/** A hit with its metadata as the database has it: JSON text. */
export type StoredHit = Omit<SearchHit, 'metadata'> & { readonly metadata: string };

/** Hits as they cross threads: one JSON text is cloned in less time than their objects. */
export interface PackedHits {
  readonly json: string;
  /** One per hit, where they were asked for. */
  readonly vectors?: readonly Float32Array[];
}

export function packHits(hits: readonly StoredHit[]): PackedHits {
  const json = `[${hits.map(toJson).join()}]`;
  return hits[0]?.vector === undefined ? { json } : { json, vectors: hits.map(({ vector }) => vector!) };
}

export function unpackHits({ json, vectors }: PackedHits): SearchHits {
  return SearchHits.ofJson(json, vectors);
}

function toJson({ id, score, metadata, group, bbox }: StoredHit): string {
  const rest =
    (group === undefined ? '' : `,"group":${JSON.stringify(group)}`) +
    (bbox === undefined ? '' : `,"bbox":${JSON.stringify(bbox)}`);
  return `{"id":${JSON.stringify(id)},"score":${score},"metadata":${metadata}${rest}}`;
}
