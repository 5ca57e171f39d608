import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient, type DinoClient } from '#dino/client/dino-client.js';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { createRandom } from '../contracts/collection-fixtures.js';
import { spawnServer } from '../support/server-process.js';
import { Ledger } from './ledger.js';

const ROUNDS = Number(process.env.ROUNDS ?? 3);
const LANES = 4;

describe('a server that is killed under concurrent upserts, changes, deletes and imports', () => {
  let dataDir: string;
  let pictures: Buffer[];
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'dino-server-kill-'));
    pictures = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        sharp({
          create: { width: 32, height: 32, channels: 3, background: { r: 20 * i, g: 255 - 20 * i, b: 99 } },
        })
          .png()
          .toBuffer(),
      ),
    );
  });
  afterAll(() => rm(dataDir, { recursive: true }));

  it(`keeps what it acknowledged, ${ROUNDS} times over`, { timeout: 60_000 + ROUNDS * 30_000 }, async () => {
    const random = createRandom(Date.now());
    const ledger = new Ledger();
    for (let round = 0; round < ROUNDS; round++) {
      const server = await spawnServer({ dataDir });
      const client = createClient({ url: server.url, maxRetries: 0 });
      await client.createCollection('c');
      const target = 20 + Math.floor(random() * 60);
      let acknowledged = 0;
      let killing: Promise<void> | undefined;
      const lanes = Array.from({ length: LANES }, (_, lane) =>
        work({ client, ledger, name: `${round}-${lane}`, pictures }, () => {
          if (++acknowledged >= target) killing ??= server.kill();
        }),
      );
      // Each lane ends with the server.
      const ends = await Promise.allSettled(lanes);
      expect(ends.map(({ status }) => status)).toEqual(new Array(LANES).fill('rejected'));
      for (const end of ends)
        expect((end as PromiseRejectedResult).reason).toMatchObject({ name: 'DinoClientError' });
      await killing;
      await expectWhole(dataDir, ledger);
    }
    expect(ledger.possible.size).toBeGreaterThan(10 * ROUNDS);
  });
});

/** Writes for as long as the server answers, to ids of its own. */
async function work(
  parts: { client: DinoClient; ledger: Ledger; name: string; pictures: readonly Buffer[] },
  acknowledge: () => void,
): Promise<never> {
  const { client, ledger, name, pictures } = parts;
  const done = (event: 'put' | 'deleted', id: string, version: string | null): void => {
    ledger.note({ event, id, version });
    acknowledge();
  };
  for (let step = 0; ; step++) {
    const ids = [0, 1, 2].map((i) => `${name}-${step}-${i}`);
    const versions = ids.map((id) => `${id} first`);
    // As an import sends them.
    ids.forEach((id, i) => ledger.note({ event: 'putting', id, version: versions[i]! }));
    const results = await client.putImages(
      'c',
      ids.map((id, i) => ({
        id,
        image: pictures[(step + i) % pictures.length]!,
        metadata: { version: versions[i]! },
      })),
    );
    results.forEach(({ id, status }, i) => {
      expect(status).toBe('created');
      done('put', id!, versions[i]!);
    });
    const [first, second, third] = ids as [string, string, string];
    ledger.note({ event: 'putting', id: first, version: 'second' });
    await client.putImage('c', first, pictures[(step + 5) % pictures.length]!, { version: 'second' });
    done('put', first, 'second');
    ledger.note({ event: 'putting', id: second, version: 'patched' });
    await client.patchImage('c', second, { version: 'patched' });
    done('put', second, 'patched');
    ledger.note({ event: 'deleting', id: third, version: null });
    await client.deleteImage('c', third);
    done('deleted', third, null);
  }
}

/** The data folder holds one of the possible versions of each image, once, and the graph holds the same. */
async function expectWhole(dataDir: string, ledger: Ledger): Promise<void> {
  const store = await EmbeddedCollectionStore.open({
    dataDir,
    exactBelow: 1,
    onWarning: (message) => expect.unreachable(message),
  });
  const images = await ledger.check(store);
  await store.settle();
  const { graph, vectors } = await store.indexStatus('c');
  expect([vectors, graph!.elements - graph!.deleted, graph!.missing]).toEqual([
    images.length,
    images.length,
    0,
  ]);
  for (const { id } of images) {
    const [vector] = await store.getVectors('c', [id]);
    const hits = await store.search('c', { vector: vector!, k: 1, exact: false });
    expect(hits[0]!.score).toBeGreaterThan(0.999);
    expect((await store.getContent('c', id)).bytes.length).toBeGreaterThan(0);
    expect((await store.getThumbnail('c', id)).bytes.length).toBeGreaterThan(0);
  }
  await store.close();
}
