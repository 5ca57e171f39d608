import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import type { StoredImage } from '#dino/collections/collection-store.js';
import { createRandom, settings } from '../contracts/collection-fixtures.js';
import { Ledger, type Said } from './ledger.js';

const WRITER = fileURLToPath(new URL('store-writer.js', import.meta.url));
const ROUNDS = Number(process.env.ROUNDS ?? 6);

/** Starts the writer and kills it once it has said `lines` lines. */
async function writeAndKill(dataDir: string, round: number, lines: number, ledger: Ledger): Promise<void> {
  const child = spawn(process.execPath, [WRITER, dataDir, String(round)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  let said = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    // The last line may be cut by the kill; then it was never said.
    if (!line.endsWith('}')) continue;
    ledger.note(JSON.parse(line) as Said);
    if (++said === lines) child.kill('SIGKILL');
  }
  expect(await closed).toEqual([null, 'SIGKILL']);
}

/** The folder of originals holds those of images, and, once what the kill has left is removed, no others. */
async function expectOriginals(dataDir: string, images: readonly StoredImage[]): Promise<void> {
  const hashes = new Set(images.map(({ contentHash }) => contentHash));
  for (const shard of await readdir(join(dataDir, 'contents')))
    for (const name of await readdir(join(dataDir, 'contents', shard)))
      expect(hashes).toContain(`${shard}${name}`);
}

describe('a store whose process is killed while it writes', () => {
  let dataDir: string;
  const warnings: string[] = [];
  const open = (): Promise<EmbeddedCollectionStore> =>
    EmbeddedCollectionStore.open({ dataDir, exactBelow: 1, onWarning: (message) => warnings.push(message) });
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'dino-sigkill-'));
    const store = await open();
    await store.createCollection('c', settings({ dimension: 16 }));
    await store.close();
  });
  afterAll(() => rm(dataDir, { recursive: true }));

  it(
    'has all that was acknowledged, nothing deleted, nothing twice, and searches find it',
    { timeout: 60_000 + ROUNDS * 20_000 },
    async () => {
      const random = createRandom(Date.now());
      const ledger = new Ledger();
      for (let round = 0; round < ROUNDS; round++) {
        await writeAndKill(dataDir, round, 100 + Math.floor(random() * 400), ledger);

        const store = await open();
        const images = await ledger.check(store);
        expect((await store.getCollection('c')).objects).toBe(images.length);

        await store.settle();
        const { graph } = await store.indexStatus('c');
        expect([graph!.elements - graph!.deleted, graph!.missing]).toEqual([images.length, 0]);
        for (const { id, metadata, contentHash } of images) {
          const version = metadata['version'] as string;
          const vector = Float32Array.from(metadata['vector'] as number[]);
          for (const exact of [true, false]) {
            const [best] = await store.search('c', { vector, k: 1, exact });
            expect([best!.id, best!.metadata['version']!]).toEqual([id, version]);
            const asked = { vector: vector.toReversed(), k: 1, exact, objects: 'objects' } as const;
            const [shown] = await store.search('c', asked);
            expect([shown!.id, shown!.metadata['version']!]).toEqual([id, version]);
          }
          const content = await store.getContent('c', id);
          expect(content.contentHash).toBe(contentHash);
          expect(Buffer.from(content.bytes).toString()).toBe(version.repeat(200));
        }
        await expectOriginals(dataDir, images);
        await store.close();
      }
      // A graph is replaced as one: however the process ended, the one on disk could be read. Only the first has none
      // to replace, and a kill between its two files leaves it without the second.
      const unfinished = warnings.filter((warning) => warning.includes('its sidecar is missing'));
      expect(unfinished.length).toBeLessThanOrEqual(1);
      expect(warnings.filter((warning) => !unfinished.includes(warning))).toEqual([]);
      expect(ledger.possible.size).toBeGreaterThan(ROUNDS * 10);
    },
  );
});
