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

const PHOTOS = 60;
const PHOTO_BYTES = 1_000_000;
const TOGETHER = 4;

/**
 * Where originals lie best: in the database, or in files named by their hash that are on disk before the row that names
 * them. Both by turns. Usage: npm run bench -- contents
 */
export async function run(): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'dino-contents-'));
  try {
    measure(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

function measure(root: string): void {
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
  const times = { writeBlob: [], writeFile: [], readBlob: [], readFile: [], check: [] } as Record<
    string,
    number[]
  >;

  for (let first = 0; first < PHOTOS; first += TOGETHER) {
    const photos = Array.from({ length: TOGETHER }, () => randomBytes(PHOTO_BYTES));
    const hashes = photos.map((photo) => createHash('sha256').update(photo).digest('hex'));
    const writeBlobs = () => photos.forEach((photo, i) => putBlob.run(first + i, photo));
    const writeRows = () => hashes.forEach((hash, i) => putRow.run(first + i, hash));
    times.writeBlob!.push(timeOf(() => blobs.transaction(writeBlobs).immediate()) / TOGETHER);
    times.writeFile!.push(
      timeOf(() => {
        photos.forEach((photo, i) => writeDurably(folder, hashes[i]!, photo));
        rows.transaction(writeRows).immediate();
      }) / TOGETHER,
    );
  }
  for (let image = 0; image < PHOTOS; image++) {
    times.readBlob!.push(timeOf(() => getBlob.get(image)));
    const read = () => readFileSync(pathOf(folder, getRow.get(image) as string));
    times.readFile!.push(timeOf(read));
    const bytes = read();
    times.check!.push(timeOf(() => createHash('sha256').update(bytes).digest()));
  }
  for (const [what, all] of Object.entries(times))
    console.log(`${what.padEnd(10)} ${median(all)} ms per photo`);

  const path = join(root, 'blobs.sqlite');
  const megabytes = () => (statSync(path).size / 1e6).toFixed(1);
  blobs.pragma('wal_checkpoint(TRUNCATE)');
  const copy = timeOf(() => copyFileSync(path, join(root, 'copy')));
  console.log(`database   ${megabytes()} MB, copied in ${copy.toFixed(0)} ms`);
  blobs.exec('DELETE FROM contents WHERE image % 2 = 0');
  blobs.pragma('wal_checkpoint(TRUNCATE)');
  console.log(`           ${megabytes()} MB after half of it was deleted`);
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

function median(values: readonly number[]): string {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!.toFixed(2);
}
