import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { restoreSnapshot } from '#dino/collections/embedded/snapshots/restore-snapshot.js';
import { SnapshotFolder } from '#dino/collections/embedded/snapshots/snapshot-folder.js';
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
      async snapshot() {
        const folder = new SnapshotFolder(dataDir);
        await folder.open();
        const { id } = await folder.create({ source: store, signal: new AbortController().signal });
        const restored = join(dataDir, `restored-${id}`);
        await restoreSnapshot({
          file: join(dataDir, 'snapshots', `${id}.tar`),
          dataDir: restored,
          replace: false,
        });
        return { open: () => EmbeddedCollectionStore.open({ dataDir: restored, ...options }) };
      },
      async dispose() {
        await store.close();
        await rm(dataDir, { recursive: true });
      },
    };
  };
}

describeCollectionStore('the embedded store, scanning small collections', openEmbedded({}));
describeCollectionStore(
  'the embedded store, with a graph from the first image and all originals as files',
  openEmbedded({ exactBelow: 1, contentFilesFrom: 0 }),
);
