import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NewImage } from '#dino/collections/collection-store.js';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { createRandom, image, settings } from '../contracts/collection-fixtures.js';

const SIZES = [20_000, 100_000, 1_000_000];
const WRITERS = [1, 8, 64];
const ROUNDS = 3;
/** Bytes stored in one measurement, and images at least. */
const VOLUME = 30_000_000;
const AT_LEAST = 64;
const DIMENSION = 384;

/**
 * Upserts through the whole store, each an image of its own, acknowledged on disk, with all originals in the database and
 * with all of them as files; in turn, A B A B. Meanwhile one reader asks for an image's row, one question after another.
 * Give a folder to measure its disk; the default is the system's temporary folder.
 */
export async function run(args: string[]): Promise<void> {
  const root = await mkdtemp(join(args[0] ?? tmpdir(), 'dino-originals-'));
  const open = (name: string, contentFilesFrom: number): Promise<EmbeddedCollectionStore> =>
    EmbeddedCollectionStore.open({ dataDir: join(root, name), exactBelow: 1e9, contentFilesFrom });
  const stores = { database: await open('database', Number.MAX_SAFE_INTEGER), files: await open('files', 0) };
  try {
    for (const store of Object.values(stores)) {
      await store.createCollection('c', settings({ dimension: DIMENSION }));
      await store.putImages('c', [image('read', new Float32Array(DIMENSION).fill(1))]);
    }
    for (const bytes of SIZES) {
      const rows: Record<string, object> = {};
      for (const writers of WRITERS) {
        const found = { database: [] as Measured[], files: [] as Measured[] };
        for (let round = 0; round < ROUNDS; round++) {
          for (const place of ['database', 'files'] as const)
            found[place].push(await measure(stores[place], { bytes, writers }));
        }
        const [a, b] = [middle(found.database), middle(found.files)];
        rows[`${writers} writers`] = {
          'database, images/s': Math.round(a.rate),
          'files, images/s': Math.round(b.rate),
          ratio: Math.round((100 * b.rate) / a.rate) / 100,
          'longest read, ms': `${Math.round(a.longestRead)} / ${Math.round(b.longestRead)}`,
        };
      }
      console.log(`originals of ${bytes} bytes`);
      console.table(rows);
    }
  } finally {
    for (const store of Object.values(stores)) await store.close();
    await rm(root, { recursive: true });
  }
}

interface Measured {
  readonly rate: number;
  /** Milliseconds. */
  readonly longestRead: number;
}

async function measure(
  store: EmbeddedCollectionStore,
  { bytes, writers }: { bytes: number; writers: number },
): Promise<Measured> {
  const count = Math.max(AT_LEAST, Math.ceil(VOLUME / bytes));
  const images = Array.from({ length: count }, (_, i) => pictureOf(i, bytes));
  const started = performance.now();
  let isOver = false;
  let longestRead = 0;
  const read = async (): Promise<void> => {
    while (!isOver) {
      const asked = performance.now();
      await store.getImage('c', 'read');
      longestRead = Math.max(longestRead, performance.now() - asked);
    }
  };
  const write = async (): Promise<void> => {
    for (let next = images.pop(); next !== undefined; next = images.pop()) await store.putImages('c', [next]);
  };
  const reading = read();
  await Promise.all(Array.from({ length: writers }, write));
  const seconds = (performance.now() - started) / 1000;
  isOver = true;
  await reading;
  return { rate: count / seconds, longestRead };
}

const random = createRandom(1);

/** New bytes for one of some images, so that the disk holds no more than the last of each. */
function pictureOf(i: number, bytes: number): NewImage {
  const content = randomBytes(bytes);
  const contentHash = createHash('sha256').update(content).digest('hex');
  const vector = Float32Array.from({ length: DIMENSION }, () => random() - 0.5);
  return { ...image(`i${i}`, vector), content, contentHash };
}

function middle(found: readonly Measured[]): Measured {
  return [...found].sort((a, b) => a.rate - b.rate)[found.length >> 1]!;
}
