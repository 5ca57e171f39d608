import { expect } from 'vitest';
import type { CollectionStore, StoredImage } from '#dino/collections/collection-store.js';

/** A version of an image by name; null: there is none. */
export type Version = string | null;

export interface Said {
  readonly event: 'putting' | 'put' | 'deleting' | 'deleted';
  readonly id: string;
  readonly version: Version;
}

/** For each id the versions it may have now: one when the last write was acknowledged, else two. */
export class Ledger {
  readonly possible = new Map<string, Set<Version>>();

  note({ event, id, version }: Said): void {
    const acknowledged = event === 'put' || event === 'deleted';
    const before = acknowledged ? [] : (this.possible.get(id) ?? [null]);
    this.possible.set(id, new Set([...before, version]));
  }

  /**
   * Expects collection `c` to hold each image once, in a version that it may have by its metadata's `version`, and none
   * besides; what it holds is what it may hold from then on.
   */
  async check(store: CollectionStore): Promise<StoredImage[]> {
    const images = await listAll(store);
    const versions = new Map(images.map(({ id, metadata }) => [id, metadata['version'] as string]));
    expect(versions.size).toBe(images.length);
    expect((await store.getCollection('c')).count).toBe(images.length);
    for (const [id, possible] of this.possible) {
      const version = versions.get(id) ?? null;
      expect(possible, `${id} is ${version}`).toContain(version);
      this.possible.set(id, new Set([version]));
    }
    for (const { id } of images) expect(this.possible.has(id)).toBe(true);
    return images;
  }
}

async function listAll(store: CollectionStore): Promise<StoredImage[]> {
  const images: StoredImage[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await store.listImages('c', { limit: 1000, cursor });
    images.push(...page.images);
    if (page.nextCursor === null) return images;
    cursor = page.nextCursor;
  }
}
