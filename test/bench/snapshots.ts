import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { SnapshotFolder, type BackupSource } from '#dino/collections/embedded/snapshots/snapshot-folder.js';
import { createRandom, image, settings } from '../contracts/collection-fixtures.js';

const DIMENSION = 384;
const BATCH = 100;

/**
 * How long a snapshot takes, and how long a read waits meanwhile: one after another, without a snapshot and during one.
 * Give the number of images (default 2000) and the bytes of each (default 100,000).
 */
export async function run(args: string[]): Promise<void> {
  const [count, bytes] = [Number(args[0] ?? 2000), Number(args[1] ?? 100_000)];
  const dataDir = await mkdtemp(join(tmpdir(), 'dino-bench-'));
  const store = await EmbeddedCollectionStore.open({ dataDir, exactBelow: 1 });
  try {
    await store.createCollection('c', settings({ dimension: DIMENSION }));
    const random = createRandom(1);
    const hash = await crypto.subtle.digest('SHA-256', new Uint8Array(bytes));
    const contentHash = Buffer.from(hash).toString('hex');
    for (let from = 0; from < count; from += BATCH) {
      const images = Array.from({ length: Math.min(BATCH, count - from) }, (_, i) => {
        const vector = Float32Array.from({ length: DIMENSION }, () => random() - 0.5);
        return { ...image(`i${from + i}`, vector), content: new Uint8Array(bytes), contentHash };
      });
      await store.putImages('c', images);
    }
    await store.settle();
    const alone = await waits(store, new Promise((resolve) => setTimeout(resolve, 3000)));
    const folder = new SnapshotFolder(dataDir);
    await folder.open();
    const { signal } = new AbortController();
    const started = performance.now();
    let copied = 0;
    const source: BackupSource = {
      async backUp(path, options) {
        await store.backUp(path, options);
        copied = performance.now();
      },
      endBackup: () => store.endBackup(),
    };
    const making = folder.create({ source, signal });
    const during = await waits(store, making);
    const finished = performance.now();
    console.log(
      `${count} images, ${Math.round((await making).bytes / 1e6)} MB: copied in ${Math.round(copied - started)} ms, checked and packed in ${Math.round(finished - copied)} ms`,
    );
    console.table({ 'reads without a snapshot': alone, 'reads during one': during });
  } finally {
    await store.close();
    await rm(dataDir, { recursive: true });
  }
}

/** Reads one after another for as long as something goes on. */
async function waits(
  store: EmbeddedCollectionStore,
  work: Promise<unknown>,
): Promise<Record<string, number>> {
  let done = false;
  void work.finally(() => (done = true));
  const times: number[] = [];
  while (!done) {
    const started = performance.now();
    await store.getImage('c', 'i0');
    times.push(performance.now() - started);
  }
  await work;
  times.sort((a, b) => a - b);
  const at = (share: number): number =>
    Math.round(times[Math.floor(share * (times.length - 1))]! * 100) / 100;
  return { reads: times.length, 'median, ms': at(0.5), 'p99, ms': at(0.99), 'longest, ms': at(1) };
}
