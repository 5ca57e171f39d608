import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createClient, type DinoClient } from '#dino/client/dino-client.js';
import { finishDino, runDinoJson, spawnDino } from '../cli/dino-process.js';
import { drawSmallScenes, makeFolder, writeScenes } from '../cli/photo-folder.js';
import { spawnServer, type ServerProcess } from '../support/server-process.js';

const COLLECTION = 'scenes';
const BATCH = 6;

describe('an import whose server is killed midway', () => {
  let root: string;
  let ids: string[];
  let server: ServerProcess;
  beforeEach(async () => {
    root = await makeFolder();
    ids = await writeScenes(join(root, 'photos'), await drawSmallScenes(12));
    server = await serve();
  });
  afterEach(async () => {
    await server.stop();
    await rm(root, { recursive: true, force: true });
  });

  function serve(): Promise<ServerProcess> {
    return spawnServer({ dataDir: join(root, 'data') });
  }

  function photo(id: string): Promise<Buffer> {
    return readFile(join(root, 'photos', id));
  }

  function importArgs(): string[] {
    return [
      'import',
      join(root, 'photos'),
      '-c',
      COLLECTION,
      '--url',
      server.url,
      '--batch',
      String(BATCH),
      '--no-measure',
    ];
  }

  async function listedIds(client: DinoClient): Promise<string[]> {
    const listed: string[] = [];
    for await (const { id } of client.listImages(COLLECTION)) listed.push(id);
    return listed;
  }

  async function expectFound(client: DinoClient, stored: readonly string[]): Promise<void> {
    for (const id of stored) {
      const { results } = await client.search(COLLECTION, { image: await photo(id) }, { k: 1 });
      expect(results[0]!.id).toBe(id);
      expect(results[0]!.score).toBeGreaterThanOrEqual(0.999);
    }
  }

  async function expectCompletes(atLeast: number): Promise<void> {
    const summary = await runDinoJson(importArgs());
    expect(summary).toMatchObject({ replaced: 0, failed: 0 });
    expect(summary.unchanged).toBeGreaterThanOrEqual(atLeast);
    expect(summary.stored + summary.unchanged).toBe(ids.length);
    const client = createClient({ url: server.url });
    expect(await listedIds(client)).toEqual([...ids].sort());
    expect((await client.getCollection(COLLECTION)).count).toBe(ids.length);
    await expectFound(client, ids);
  }

  it('loses no acknowledged image, and is completed without duplicates by running it again', async () => {
    let client = createClient({ url: server.url });
    await client.createCollection(COLLECTION);
    const acknowledged: string[] = [];
    const send = async (batch: string[]) => {
      const images = await Promise.all(
        batch.map(async (id) => ({ id, image: await photo(id), metadata: { class: id.split('/')[0]! } })),
      );
      for (const { id, status } of await client.putImages(COLLECTION, images)) {
        expect(status).toBe('created');
        acknowledged.push(id!);
      }
    };
    const batches = Array.from({ length: ids.length / BATCH }, (_, index) =>
      ids.slice(index * BATCH, (index + 1) * BATCH),
    );
    for (const batch of batches.slice(0, 4)) await send(batch);
    const inFlight = Promise.allSettled(batches.slice(4, 6).map(send));
    await server.kill();
    const outcomes = await inFlight;
    expect(outcomes.map(({ status }) => status)).toContain('rejected');

    server = await serve();
    client = createClient({ url: server.url });
    expect(acknowledged.length).toBeGreaterThanOrEqual(4 * BATCH);
    expect(await listedIds(client)).toEqual(expect.arrayContaining(acknowledged));
    await expectFound(client, acknowledged);
    await expectCompletes(acknowledged.length);
  });

  it('says that the server is gone and what to do, and the same command completes it', async () => {
    const command = spawnDino([...importArgs(), '--concurrency', '1']);
    const finished = finishDino(command);
    const client = createClient({ url: server.url });
    let seen = 0;
    while (seen < 2 * BATCH) {
      const collections = await client.listCollections();
      seen = collections[0]?.count ?? 0;
    }
    await server.kill();
    const { code, stderr } = await finished;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^dino: http:\S+ can't be reached: .*; \d+ images are dealt with, the same command again goes on from there\n$/m,
    );

    server = await serve();
    expect((await listedIds(createClient({ url: server.url }))).length).toBeGreaterThanOrEqual(seen);
    await expectCompletes(seen);
  });
});
