import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import type { EmbeddedStoreOptions } from '#dino/collections/embedded/embedded-collection-store.js';
import type { OpenStore } from './collection-fixtures.js';
import { describeCollectionStore } from './collection-store.js';

function openEmbedded(options: Partial<EmbeddedStoreOptions>): OpenStore {
  return async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'dino-store-'));
    const open = (): Promise<EmbeddedCollectionStore> =>
      EmbeddedCollectionStore.open({ dataDir, ...options });
    let store = await open();
    return {
      get store() {
        return store;
      },
      async reopen() {
        await store.close();
        store = await open();
      },
      settle: () => store.settle(),
      async dispose() {
        await store.close();
        await rm(dataDir, { recursive: true });
      },
    };
  };
}

describeCollectionStore('the embedded store, scanning small collections', openEmbedded({}));
describeCollectionStore(
  'the embedded store, with a graph from the first image',
  openEmbedded({ exactBelow: 1 }),
);
