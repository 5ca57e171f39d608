import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { SnapshotFolder, type BackupSource } from '#dino/collections/embedded/snapshots/snapshot-folder.js';
import { createRandom, image, settings } from '../contracts/collection-fixtures.js';
import { readOptions } from './read-options.js';
import { Reporter } from './report.js';
import { percentile } from './statistics.js';

const VERB = {
  name: 'snapshots',
  purpose:
    'How long a snapshot takes, and how long a read waits meanwhile: one after another, without a snapshot and during one.',
  options: {
    images: { value: 'N', meaning: 'in the store', fallback: 2000, min: 1, max: 1e7 },
    bytes: { value: 'N', meaning: 'of each', fallback: 100_000, min: 1, max: 1e8 },
    seconds: { value: 'N', meaning: 'of reads without a snapshot', fallback: 3, min: 0.1, max: 3600 },
  },
} as const;

const DIMENSION = 384;
const BATCH = 100;

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(VERB, args);
  if (options === undefined) return;
  const { images: count, bytes, seconds } = options;
  const reporter = new Reporter('snapshots', options);
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
    const alone = await waits(store, new Promise((resolve) => setTimeout(resolve, seconds * 1000)));
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
    reporter.table(`a snapshot of ${count} images`, {
      'the snapshot': { MB: (await making).bytes / 1e6 },
      'copying the store': { ms: copied - started },
      'checking and packing the copy': { ms: finished - copied },
    });
    reporter.table('reads, one after another', { 'without a snapshot': alone, 'during one': during });
    await reporter.finish(options.json);
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
  const at = (share: number): number => percentile(times, share);
  return { reads: times.length, 'median, ms': at(0.5), 'p99, ms': at(0.99), 'longest, ms': at(1) };
}
