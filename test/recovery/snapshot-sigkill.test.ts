import { once } from 'node:events';
import { watch } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from '#dino/client/dino-client.js';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { restoreSnapshot } from '#dino/collections/embedded/snapshots/restore-snapshot.js';
import { SnapshotFolder } from '#dino/collections/embedded/snapshots/snapshot-folder.js';
import { finishDino, runDino, runDinoJson, spawnDino } from '../cli/dino-process.js';
import { image, settings, sha256 } from '../contracts/collection-fixtures.js';
import { spawnServer } from '../support/server-process.js';

const ROUNDS = Number(process.env.ROUNDS ?? 3);
const COUNT = 60;

let root: string;
/** A data folder with images of version `new`, and a snapshot of it when they were `old`. */
let dataDir: string;
let archive: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dino-snapshot-kill-'));
  dataDir = join(root, 'data');
  const store = await open(dataDir);
  await store.createCollection('c', settings());
  await write(store, 'old');
  const folder = new SnapshotFolder(dataDir);
  await folder.open();
  const { signal } = new AbortController();
  const { id } = await folder.create({ source: store, signal });
  archive = join(root, 'snapshot.tar');
  await cp(join(dataDir, 'snapshots', `${id}.tar`), archive);
  await folder.delete(id);
  await write(store, 'new');
  await store.close();
});
afterAll(() => rm(root, { recursive: true }));

function open(path: string): Promise<EmbeddedCollectionStore> {
  return EmbeddedCollectionStore.open({ dataDir: path, exactBelow: 1, onWarning: () => undefined });
}

async function write(store: EmbeddedCollectionStore, version: string): Promise<void> {
  await store.putImages(
    'c',
    Array.from({ length: COUNT }, (_, i) => {
      // Large enough for making and restoring to take a while.
      const text = `${version} ${i} `.repeat(20_000);
      const content = new TextEncoder().encode(text);
      const vector = version === 'old' ? [1, i, 0, 0] : [0, 0, 1, i];
      return { ...image(`i${i}`, vector, { metadata: { version } }), content, contentHash: sha256(text) };
    }),
  );
}

/** @returns the one version that all images of a folder have; everything about them fits it */
async function versionIn(path: string): Promise<string> {
  const store = await open(path);
  try {
    const { images } = await store.listImages('c', { limit: 1000 });
    expect(images).toHaveLength(COUNT);
    const versions = new Set(images.map(({ metadata }) => metadata['version'] as string));
    expect(versions.size).toBe(1);
    const [version] = versions;
    await store.settle();
    const vector = Float32Array.from(version === 'old' ? [1, 3, 0, 0] : [0, 0, 1, 3]);
    for (const exact of [true, false])
      expect((await store.search('c', { vector, k: 1, exact }))[0]!.id).toBe('i3');
    for (const { id } of images) expect((await store.getContent('c', id)).bytes.length).toBeGreaterThan(0);
    const { graph } = await store.indexStatus('c');
    expect([graph!.elements - graph!.deleted, graph!.missing]).toEqual([COUNT, 0]);
    return version!;
  } finally {
    await store.close();
  }
}

/** Resolves at the n-th change in a folder. */
function nthChange(folder: string, n: number): { seen: Promise<void>; stop(): void } {
  let count = 0;
  let stop = (): void => undefined;
  const seen = new Promise<void>((resolve) => {
    const watcher = watch(folder, { recursive: false }, () => {
      if (++count >= n) resolve();
    });
    stop = () => {
      watcher.close();
      resolve();
    };
  });
  return { seen, stop };
}

describe('a snapshot', () => {
  it('is restored into an empty folder, and over another state only when that is said', async () => {
    const target = join(root, 'empty');
    const restored = await runDinoJson(['snapshots', 'restore', archive, '--data-dir', target]);
    expect(restored).toMatchObject({ dataDir: target, collections: [{ name: 'c', count: COUNT }] });
    expect(await versionIn(target)).toBe('old');

    await cp(dataDir, join(root, 'full'), { recursive: true });
    const args = ['snapshots', 'restore', archive, '--data-dir', join(root, 'full')];
    const refused = await runDino(args);
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/collections in .* already.*--replace/),
    });
    expect(await versionIn(join(root, 'full'))).toBe('new');
    expect(await runDino([...args, '--replace'])).toMatchObject({ code: 0 });
    expect(await versionIn(join(root, 'full'))).toBe('old');
  });

  it('is not restored under a server that uses the folder', async () => {
    const store = await open(dataDir);
    await expect(restoreSnapshot({ file: archive, dataDir, replace: true })).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/in use/),
    });
    await store.close();
    expect(await versionIn(dataDir)).toBe('new');
  });

  it(`whose restoring is killed leaves the old state or the new one, ${ROUNDS} times over`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const target = join(root, `kill-${round}`);
      await cp(dataDir, target, { recursive: true });
      // Its changes in the folder: the unpacking folder, graphs, database, graphs again, the folder's end.
      const change = nthChange(target, 1 + (round % 6));
      const child = spawnDino(['snapshots', 'restore', archive, '--data-dir', target, '--replace']);
      const ended = finishDino(child);
      await Promise.race([change.seen, once(child, 'exit')]);
      child.kill('SIGKILL');
      await ended;
      change.stop();
      expect(['old', 'new']).toContain(await versionIn(target));
      expect(
        await runDino(['snapshots', 'restore', archive, '--data-dir', target, '--replace']),
      ).toMatchObject({
        code: 0,
      });
      expect(await versionIn(target)).toBe('old');
      expect((await readdir(target)).filter((name) => name.startsWith('.'))).toEqual([]);
    }
  });

  it(`whose making is killed is not there, and nothing of it is left, ${ROUNDS} times over`, async () => {
    const target = join(root, 'making');
    await cp(dataDir, target, { recursive: true });
    await mkdir(join(target, 'snapshots'), { recursive: true });
    let listed = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const server = await spawnServer({ dataDir: target, environment: { DINO_LOG_LEVEL: 'silent' } });
      const client = createClient({ url: server.url, maxRetries: 0 });
      const found = await client.listSnapshots();
      // One that was whole when the process was killed counts, and is whole.
      expect(found.length - listed).toBeLessThanOrEqual(1);
      listed = found.length;
      for (const { id } of found) expect(await client.verifySnapshot(id)).toMatchObject({ whole: true });
      expect(await readdir(join(target, 'snapshots'))).toHaveLength(2 * found.length);
      const change = nthChange(join(target, 'snapshots'), 1 + (round % 4));
      await client.createSnapshot();
      await change.seen;
      await server.kill();
      change.stop();
    }
    expect(await versionIn(target)).toBe('new');
  });
});
