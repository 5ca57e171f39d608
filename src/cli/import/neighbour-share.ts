import { Readable } from 'node:stream';
import type { DinoClient } from '../../client/dino-client.js';
import type { MetadataValue } from '../../client/resources.js';

export interface NeighbourShare {
  /** Metadata field of the labels. */
  readonly field: string;
  /** Labelled images whose nearest other labelled image has the same label. */
  readonly same: number;
  /** Labelled images of the collection. */
  readonly images: number;
}

/** Searches at a time. */
const CONCURRENCY = 8;

/**
 * Measures how well a collection's vectors tell its labels apart: leave-one-out 1-nearest-neighbour agreement over
 * all its labelled images.
 *
 * @param onProgress called for each image that was looked at
 */
export async function measureNeighbourShare(
  client: DinoClient,
  options: { readonly collection: string; readonly field: string; readonly onProgress: () => void },
): Promise<NeighbourShare> {
  const { collection, field, onProgress } = options;
  const filter = { field, exists: true };
  const agrees = async ({ id, metadata }: { id: string; metadata: Record<string, MetadataValue> }) => {
    // A search by id leaves the image itself out.
    const { results } = await client.search(collection, { id }, { k: 1, filter });
    return JSON.stringify(results[0]?.metadata[field]) === JSON.stringify(metadata[field]);
  };
  let same = 0;
  let images = 0;
  for await (const agreed of Readable.from(client.listImages(collection, { filter })).map(agrees, {
    concurrency: CONCURRENCY,
  })) {
    if (agreed) same += 1;
    images += 1;
    onProgress();
  }
  return { field, same, images };
}
