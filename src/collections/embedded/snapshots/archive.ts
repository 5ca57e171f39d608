import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable, Transform, Writable } from 'node:stream';
import type { TransformCallback } from 'node:stream';
import type { Pack } from 'tar-stream';
import { pipeline } from 'node:stream/promises';
import { extract as createExtract, pack as createPack } from 'tar-stream';
import { CONTENTS, contentPath } from '../contents/content-files.js';
import type { NamedContent } from './check-database.js';
import { DATABASE, FORMAT_VERSION, GRAPHS, MANIFEST, READABLE_VERSIONS } from './manifest.js';
import type { SnapshotFile, SnapshotManifest } from './manifest.js';

const ALLOWED = new RegExp(
  `^(${DATABASE.replace('.', '\\.')}|${GRAPHS}/[A-Za-z0-9-]+\\.([0-9a-f]{64}\\.hnsw|json))$`,
);

/** An original's path, of which the SHA-256 is known. */
const CONTENT = new RegExp(`^${CONTENTS}/([0-9a-f]{2})/([0-9a-f]{62})$`);

export interface ArchiveParts {
  /** Folder of the database and the graphs. */
  readonly folder: string;
  /** Folder of the originals. */
  readonly contents: string;
  /** Those of them that the database names. */
  readonly named: readonly NamedContent[];
  /** The archive to write. */
  readonly path: string;
}

export interface Digest {
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Packs the database, the graphs and the originals as a tar file, the manifest last, and waits until it is on the disk.
 * Every original is compared with its SHA-256.
 *
 * @returns size and hash of the archive, and its manifest
 * @throws Error that says which original is damaged or missing
 */
export async function writeArchive(
  { folder, contents, named, path }: ArchiveParts,
  facts: Omit<SnapshotManifest, 'files' | 'contents' | 'formatVersion'>,
): Promise<Digest & { manifest: SnapshotManifest }> {
  const pack = createPack();
  const digest = new DigestStream();
  const written = pipeline(pack, digest, createWriteStream(path, { flush: true }));
  const fill = async (): Promise<SnapshotManifest> => {
    const files: SnapshotFile[] = [];
    for (const name of await namesIn(folder)) {
      const { size } = await stat(join(folder, name));
      const hash = new DigestStream();
      await pipeline(createReadStream(join(folder, name)), hash, pack.entry({ name, size }));
      files.push({ name, ...hash.digest() });
    }
    let bytes = 0;
    for (const content of named) bytes += await packContent(pack, contents, content);
    const manifest: SnapshotManifest = {
      formatVersion: FORMAT_VERSION,
      ...facts,
      files,
      contents: { count: named.length, bytes },
    };
    pack.entry({ name: MANIFEST }, JSON.stringify(manifest, undefined, 2));
    pack.finalize();
    return manifest;
  };
  const filled = fill().catch((error: Error) => {
    pack.destroy(error);
    throw error;
  });
  const [manifest] = await Promise.all([filled, written]);
  return { ...digest.digest(), manifest };
}

/**
 * Reads an archive from end to end, and into a folder where one is given.
 *
 * @param onProgress told how many bytes of it have been read
 * @throws Error that says what is damaged or does not belong
 */
export async function readArchive(
  path: string,
  { into, onProgress }: { into?: string; onProgress?: (bytes: number) => void } = {},
): Promise<Digest & { manifest: SnapshotManifest }> {
  const found: SnapshotFile[] = [];
  const contents = { count: 0, bytes: 0 };
  let manifest: SnapshotManifest | undefined;
  const extract = createExtract();
  const digest = new DigestStream(onProgress);
  const reading = pipeline(createReadStream(path), digest, extract);
  const sort = async (): Promise<void> => {
    for await (const entry of extract) {
      const { name } = entry.header;
      if (name === MANIFEST) {
        manifest = JSON.parse(await readText(Readable.from(entry))) as SnapshotManifest;
        continue;
      }
      const content = CONTENT.exec(name);
      if ((!ALLOWED.test(name) && content === null) || entry.header.type !== 'file')
        throw new Error(`${name} does not belong in it`);
      const hash = new DigestStream();
      await pipeline(entry, hash, await sink(into && join(into, name)));
      const whole = hash.digest();
      if (content === null) {
        found.push({ name, ...whole });
        continue;
      }
      if (whole.sha256 !== `${content[1]}${content[2]}`) throw new Error(`${name} is damaged`);
      contents.count++;
      contents.bytes += whole.bytes;
    }
  };
  const sorted = sort().catch((error: Error) => {
    extract.destroy(error);
    throw error;
  });
  const outcomes = await Promise.allSettled([sorted, reading]);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  if (manifest === undefined) throw new Error('it is cut short or not a snapshot: its manifest is missing');
  if (!READABLE_VERSIONS.includes(manifest.formatVersion))
    throw new Error(`its format is ${String(manifest.formatVersion)}`);
  const expected = JSON.stringify(manifest.files);
  if (JSON.stringify(found) !== expected)
    throw new Error(`its files are not those of its manifest: ${differences(found, manifest)}`);
  const { count = 0, bytes = 0 } = manifest.contents ?? {};
  if (count !== contents.count || bytes !== contents.bytes)
    throw new Error(
      `it has ${contents.count} originals of ${contents.bytes} bytes, and not ${count} of ${bytes}`,
    );
  return { ...digest.digest(), manifest };
}

/** @returns its size in bytes */
async function packContent(pack: Pack, folder: string, { hash, id }: NamedContent): Promise<number> {
  const path = contentPath(folder, hash);
  const failed = (what: string): Error =>
    new Error(`the content of image "${id}" is ${what} (${contentPath(CONTENTS, hash)})`);
  const { size } = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? failed('missing') : error;
  });
  const digest = new DigestStream();
  const name = `${CONTENTS}/${hash.slice(0, 2)}/${hash.slice(2)}`;
  await pipeline(createReadStream(path), digest, pack.entry({ name, size }));
  if (digest.digest().sha256 !== hash) throw failed('damaged');
  return size;
}

function differences(found: readonly SnapshotFile[], manifest: SnapshotManifest): string {
  const names = manifest.files
    .filter((file) => !found.some(({ name, sha256 }) => name === file.name && sha256 === file.sha256))
    .map(({ name }) => name);
  return names.join(', ') || 'there are more';
}

async function namesIn(folder: string): Promise<string[]> {
  const graphs = await readdir(join(folder, GRAPHS)).catch(() => []);
  return [DATABASE, ...graphs.sort().map((name) => `${GRAPHS}/${name}`)];
}

async function sink(path: string | undefined): Promise<Writable> {
  if (path === undefined) return new Writable({ write: (_chunk, _encoding, done) => done() });
  await mkdir(dirname(path), { recursive: true });
  return createWriteStream(path, { flush: true });
}

async function readText(stream: Readable): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part as Uint8Array);
  return Buffer.concat(parts).toString();
}

/** Passes bytes on and hashes them. */
class DigestStream extends Transform {
  private readonly hash = createHash('sha256');
  private bytes = 0;

  constructor(private readonly onProgress?: (bytes: number) => void) {
    super();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.hash.update(chunk);
    this.bytes += chunk.length;
    this.onProgress?.(this.bytes);
    done(null, chunk);
  }

  digest(): Digest {
    return { bytes: this.bytes, sha256: this.hash.digest('hex') };
  }
}
