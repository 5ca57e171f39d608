import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, it } from 'vitest';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { MIGRATIONS } from '#dino/collections/embedded/schema.js';
import { FINGERPRINT, image } from '../contracts/collection-fixtures.js';

const WHEN = '2025-01-02T03:04:05.678Z';

/** A data folder as the first version of the schema has it, with two images. */
function writeFirstVersion(path: string): void {
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  db.exec(MIGRATIONS[0]!);
  db.pragma('user_version = 1');
  db.prepare(
    `INSERT INTO collections (key, name, model, model_fingerprint, dimension, m, ef_construction, ef, next_label, created_at)
     VALUES ('k', 'c', 'dino-vits16', ?, 4, 16, 100, 64, 7, ?)`,
  ).run(FINGERPRINT, WHEN);
  for (const [row, label] of [4, 6].entries()) {
    const { id, contentHash, mediaType, width, height, content, thumbnail } = stored(row);
    db.prepare(`INSERT INTO images VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`).run(
      ...[
        row,
        id,
        label,
        `{"row":${row}}`,
        contentHash,
        mediaType,
        width,
        height,
        content.length,
        WHEN,
        WHEN,
      ],
    );
    const vector = new Uint8Array(Float32Array.of(row, 1 - row, 0, 0).buffer);
    db.prepare('INSERT INTO vectors VALUES (?, ?)').run(row, vector);
    db.prepare('INSERT INTO contents VALUES (?, ?)').run(row, content);
    db.prepare('INSERT INTO thumbnails VALUES (?, ?)').run(row, thumbnail);
  }
  db.close();
}

const stored = (row: number) => image(`i${row}`, [row, 1 - row, 0, 0]);

it('a database of the first schema is opened with everything in it, and goes on from there', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'dino-first-'));
  writeFirstVersion(join(dataDir, 'dino.sqlite'));
  for (const restart of [false, true]) {
    const store = await EmbeddedCollectionStore.open({ dataDir, exactBelow: 1 });
    expect(await store.getCollection('c')).toMatchObject({
      dimension: 4,
      count: restart ? 3 : 2,
      createdAt: WHEN,
    });
    for (const row of [0, 1]) {
      const { id, contentHash, content, thumbnail } = stored(row);
      const found = await store.getImage('c', id);
      expect(found).toMatchObject({ metadata: { row }, contentHash, createdAt: WHEN, updatedAt: WHEN });
      expect(Buffer.from((await store.getContent('c', id)).bytes)).toEqual(Buffer.from(content));
      expect(Buffer.from((await store.getThumbnail('c', id)).bytes)).toEqual(Buffer.from(thumbnail));
      const [hit] = await store.search('c', {
        vector: Float32Array.of(row, 1 - row, 0, 0),
        k: 1,
        exact: false,
      });
      expect(hit!.id).toBe(id);
    }
    if (!restart) expect(await store.putImages('c', [image('new', [0, 0, 1, 0])])).toEqual(['created']);
    await store.close();
  }
  await rm(dataDir, { recursive: true });
});
