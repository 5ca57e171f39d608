import { describe } from 'vitest';
import type { OpenStore } from './collection-fixtures.js';
import { describeAliases } from './collection-store-aliases.js';
import { describeCollections } from './collection-store-collections.js';
import { describeContent } from './collection-store-content.js';
import { describeDuplicates } from './collection-store-duplicates.js';
import { describeFacets } from './collection-store-facets.js';
import { describeImages } from './collection-store-images.js';
import { describeInput } from './collection-store-input.js';
import { describeListing } from './collection-store-listing.js';
import { describeObjects } from './collection-store-objects.js';
import { describeReembedding } from './collection-store-reembedding.js';
import { describeSearch } from './collection-store-search.js';
import { describeSnapshots } from './collection-store-snapshots.js';
import { describeShaping } from './collection-store-shaping.js';

/**
 * What every implementation of `CollectionStore` must do.
 *
 * @param openStore opens a store on data of its own, empty
 */
export function describeCollectionStore(name: string, openStore: OpenStore): void {
  describe(name, () => {
    describeCollections(openStore);
    describeImages(openStore);
    describeInput(openStore);
    describeListing(openStore);
    describeSearch(openStore);
    describeShaping(openStore);
    describeFacets(openStore);
    describeAliases(openStore);
    describeContent(openStore);
    describeReembedding(openStore);
    describeDuplicates(openStore);
    describeObjects(openStore);
    describeSnapshots(openStore);
  });
}
