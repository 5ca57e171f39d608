import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { readOptions } from './read-options.js';
import { Reporter } from './report.js';
import { median } from './statistics.js';

const VERB = {
  name: 'contents',
  purpose:
    'Where originals lie best: in the database, or in files named by their hash that are on disk before the row that names ' +
    'them; in turn, A B A B. The bare database without the store around it: see originals for that.',
  options: {
    images: { value: 'N', meaning: 'originals that are written', fallback: 60, min: 2, max: 1e5 },
    bytes: { value: 'N', meaning: 'of each', fallback: 1_000_000, min: 1, max: 1e9 },
    folder: {
      value: 'DIR',
      meaning: "measure the disk of this folder; none: the system's temporary one",
      fallback: '',
    },
  },
} as const;

/** Originals of one commit. */
const TOGETHER = 4;

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(VERB, args);
  if (options === undefined) return;
  const reporter = new Reporter('contents', options);
  const root = mkdtempSync(join(options.folder || tmpdir(), 'dino-contents-'));
  try {
    measure(root, options, reporter);
    await reporter.finish(options.json);
  } finally {
    rmSync(root, { recursive: true });
  }
}

function measure(
  root: string,
  { images, bytes }: { images: number; bytes: number },
  reporter: Reporter,
): void {
  const blobs = open(join(root, 'blobs.sqlite'));
  const rows = open(join(root, 'rows.sqlite'));
  const folder = join(root, 'files');
  mkdirSync(folder);
  blobs.exec('CREATE TABLE contents (image INTEGER PRIMARY KEY, content BLOB)');
  rows.exec('CREATE TABLE contents (image INTEGER PRIMARY KEY, hash TEXT)');
  const putBlob = blobs.prepare('INSERT INTO contents VALUES (?, ?)');
  const putRow = rows.prepare('INSERT INTO contents VALUES (?, ?)');
  const getBlob = blobs.prepare('SELECT content FROM contents WHERE image = ?').pluck();
  const getRow = rows.prepare('SELECT hash FROM contents WHERE image = ?').pluck();
  const times = {
    'writing into the database': [] as number[],
    'writing as files': [] as number[],
    'reading from the database': [] as number[],
    'reading from a file': [] as number[],
    'SHA-256 of what was read': [] as number[],
  };

  for (let first = 0; first < images; first += TOGETHER) {
    const photos = Array.from({ length: Math.min(TOGETHER, images - first) }, () => randomBytes(bytes));
    const hashes = photos.map((photo) => createHash('sha256').update(photo).digest('hex'));
    const writeBlobs = () => photos.forEach((photo, i) => putBlob.run(first + i, photo));
    const writeRows = () => hashes.forEach((hash, i) => putRow.run(first + i, hash));
    times['writing into the database'].push(
      timeOf(() => blobs.transaction(writeBlobs).immediate()) / photos.length,
    );
    times['writing as files'].push(
      timeOf(() => {
        photos.forEach((photo, i) => writeDurably(folder, hashes[i]!, photo));
        rows.transaction(writeRows).immediate();
      }) / photos.length,
    );
  }
  for (let image = 0; image < images; image++) {
    times['reading from the database'].push(timeOf(() => getBlob.get(image)));
    const read = () => readFileSync(pathOf(folder, getRow.get(image) as string));
    times['reading from a file'].push(timeOf(read));
    const content = read();
    times['SHA-256 of what was read'].push(timeOf(() => createHash('sha256').update(content).digest()));
  }
  const medians = Object.entries(times).map(([what, all]) => [what, { 'ms per original': median(all) }]);
  reporter.table(`originals of ${bytes} bytes`, Object.fromEntries(medians));

  const path = join(root, 'blobs.sqlite');
  const megabytes = () => statSync(path).size / 1e6;
  blobs.pragma('wal_checkpoint(TRUNCATE)');
  const copy = timeOf(() => copyFileSync(path, join(root, 'copy')));
  const whole = megabytes();
  blobs.exec('DELETE FROM contents WHERE image % 2 = 0');
  blobs.pragma('wal_checkpoint(TRUNCATE)');
  reporter.table('the database', {
    'with all of them': { MB: whole, 'copied in, ms': copy },
    'after half of it was deleted': { MB: megabytes() },
  });
  blobs.close();
  rows.close();
}

function open(path: string): Database.Database {
  const db = new Database(path);
  for (const setting of ['locking_mode = EXCLUSIVE', 'journal_mode = WAL', 'synchronous = FULL'])
    db.pragma(setting);
  return db;
}

function pathOf(folder: string, hash: string): string {
  return join(folder, hash.slice(0, 2), hash);
}

function writeDurably(folder: string, hash: string, bytes: Uint8Array): void {
  const path = pathOf(folder, hash);
  mkdirSync(join(path, '..'), { recursive: true });
  const temporary = `${path}.tmp`;
  const file = openSync(temporary, 'w');
  writeSync(file, bytes);
  fsyncSync(file);
  closeSync(file);
  renameSync(temporary, path);
  for (const name of [join(path, '..'), folder]) {
    const opened = openSync(name, 'r');
    fsyncSync(opened);
    closeSync(opened);
  }
}

function timeOf(work: () => unknown): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}
