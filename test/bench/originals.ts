import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NewImage } from '#dino/collections/collection-store.js';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { createRandom, image, settings } from '../contracts/collection-fixtures.js';
import { readOptions } from './read-options.js';
import { Reporter, type Table } from './report.js';

const AT_LEAST = 64;
const DIMENSION = 384;

const VERB = {
  name: 'originals',
  purpose:
    'Upserts through the whole store, each an image of its own, acknowledged on disk, with all originals in the database and ' +
    "with all of them as files; in turn, A B A B. Meanwhile one reader asks for an image's row, one question after another.",
  options: {
    sizes: {
      value: 'BYTES[,BYTES..]',
      meaning: 'of an original',
      fallback: [20_000, 100_000, 1_000_000] as readonly number[],
      min: 1,
      max: 1e8,
    },
    writers: {
      value: 'N[,N..]',
      meaning: 'writers at once',
      fallback: [1, 8, 64] as readonly number[],
      min: 1,
      max: 1000,
    },
    rounds: { value: 'N', meaning: 'turns of each', fallback: 3, min: 1, max: 1000 },
    megabytes: {
      value: 'N',
      meaning: `stored in each turn, of ${AT_LEAST} images at least`,
      fallback: 30,
      min: 0,
      max: 1e6,
    },
    folder: {
      value: 'DIR',
      meaning: "measure the disk of this folder; none: the system's temporary one",
      fallback: '',
    },
  },
} as const;

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(VERB, args);
  if (options === undefined) return;
  const reporter = new Reporter('originals', options);
  const root = await mkdtemp(join(options.folder || tmpdir(), 'dino-originals-'));
  const open = (name: string, contentFilesFrom: number): Promise<EmbeddedCollectionStore> =>
    EmbeddedCollectionStore.open({ dataDir: join(root, name), exactBelow: 1e9, contentFilesFrom });
  const stores = { database: await open('database', Number.MAX_SAFE_INTEGER), files: await open('files', 0) };
  try {
    for (const store of Object.values(stores)) {
      await store.createCollection('c', settings({ dimension: DIMENSION }));
      await store.putImages('c', [image('read', new Float32Array(DIMENSION).fill(1))]);
    }
    for (const bytes of options.sizes) {
      const rows: Table = {};
      for (const writers of options.writers) {
        const found = { database: [] as Measured[], files: [] as Measured[] };
        for (let round = 0; round < options.rounds; round++) {
          for (const place of ['database', 'files'] as const)
            found[place].push(await measure(stores[place], { bytes, writers, megabytes: options.megabytes }));
        }
        const [a, b] = [middle(found.database), middle(found.files)];
        rows[`${writers} writers`] = {
          'database, images/s': a.rate,
          'files, images/s': b.rate,
          ratio: b.rate / a.rate,
          'database, longest read, ms': a.longestRead,
          'files, longest read, ms': b.longestRead,
        };
      }
      reporter.table(`originals of ${bytes} bytes`, rows);
    }
    await reporter.finish(options.json);
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
  { bytes, writers, megabytes }: { bytes: number; writers: number; megabytes: number },
): Promise<Measured> {
  const count = Math.max(AT_LEAST, Math.ceil((megabytes * 1e6) / bytes));
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
