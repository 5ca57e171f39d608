import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, it } from 'vitest';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { image, settings } from '../contracts/collection-fixtures.js';

const COUNT = 60;
const STORE = new URL('../../dist/collections/embedded/embedded-collection-store.js', import.meta.url).href;

it('originals that are moved from the database to files survive a SIGKILL at any moment of it', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'dino-moves-'));
  const pictures = Array.from({ length: COUNT }, (_, i) => {
    const content = Buffer.alloc(100_000, `picture ${i} `);
    const contentHash = createHash('sha256').update(content).digest('hex');
    return { ...image(`i${i}`, [1, i, 0, 0]), content, contentHash };
  });
  let store = await EmbeddedCollectionStore.open({ dataDir, contentFilesFrom: 1e9 });
  await store.createCollection('c', settings());
  await store.putImages('c', pictures);
  await store.close();
  const database = join(dataDir, 'dino.sqlite');
  const db = new Database(database);
  db.exec('INSERT INTO content_moves SELECT row FROM images');
  db.close();

  // Killed when so many have been moved, more each time.
  for (const enough of [1, 10, 25]) {
    const script = `
      const { EmbeddedCollectionStore } = await import(${JSON.stringify(STORE)});
      const { readdirSync } = await import('node:fs');
      const store = await EmbeddedCollectionStore.open({ dataDir: ${JSON.stringify(dataDir)} });
      const contents = ${JSON.stringify(join(dataDir, 'contents'))};
      for (;;) {
        await store.getCollection('c');
        const moved = readdirSync(contents).reduce((sum, shard) => sum + readdirSync(contents + '/' + shard).length, 0);
        if (moved >= ${enough}) process.kill(process.pid, 'SIGKILL');
      }`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: 'inherit' });
    expect(await once(child, 'close')).toEqual([null, 'SIGKILL']);
  }

  store = await EmbeddedCollectionStore.open({ dataDir });
  for (const restart of [false, true]) {
    if (restart) await store.settle();
    for (const { id, content } of pictures)
      expect(Buffer.from((await store.getContent('c', id)).bytes).equals(content)).toBe(true);
  }
  await store.close();
  const files = await readdir(join(dataDir, 'contents'), { recursive: true, withFileTypes: true });
  expect(files.filter((file) => file.isFile())).toHaveLength(COUNT);
  await rm(dataDir, { recursive: true });
});
