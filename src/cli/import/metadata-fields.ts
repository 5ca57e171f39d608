import type { Metadata, MetadataValue } from '../../client/resources.js';

/** Metadata is flat: of a JSON object the fields that fit, and the names of those that do not; nulls are no values. */
export function pickMetadata(value: object): { metadata: Metadata; leftOut: string[] } {
  const metadata: [string, MetadataValue][] = [];
  const leftOut: string[] = [];
  for (const [field, content] of Object.entries(value) as [string, unknown][]) {
    if (content === null) continue;
    if (isMetadataValue(content)) metadata.push([field, content]);
    else leftOut.push(field);
  }
  return { metadata: Object.fromEntries(metadata), leftOut };
}

function isMetadataValue(value: unknown): value is MetadataValue {
  if (!Array.isArray(value)) return ['string', 'number', 'boolean'].includes(typeof value);
  return ['string', 'number'].some((kind) => value.every((element) => typeof element === kind));
}
