import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddingCache, type CacheOutcome } from '#dino/inference/cache/embedding-cache.js';
import { EmbeddingLog } from '#dino/inference/cache/embedding-log.js';
import { decodeRecord, encodeRecord } from '#dino/inference/cache/embedding-record.js';
import { keyOf as recipeKeyOf } from '#dino/inference/cache/recipe.js';
import { sha256 } from '#dino/sha256.js';
import type { ImageEmbedding } from '#dino/inference/image-embedding.js';

let root: string;
let files = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dino-cache-'));
});
afterAll(() => rm(root, { recursive: true }));

function embedding(seed: number, dimension = 8): ImageEmbedding {
  const vector = Float32Array.from({ length: dimension }, (_, i) => Math.sin(seed + i));
  return { vector, info: { mediaType: 'image/webp', width: 640 + seed, height: 480 }, patches: 196 };
}

const keyOf = (n: number): string => n.toString(16).padStart(64, '0');

async function openCache(path = join(root, `cache-${++files}.bin`), maxBytes = 2 ** 20) {
  const warnings: string[] = [];
  const outcomes: CacheOutcome[] = [];
  const log = new EmbeddingLog({ path, maxBytes, onWarning: (message) => warnings.push(message) });
  const cache = new EmbeddingCache({ maxBytes, log, observe: (outcome) => outcomes.push(outcome) });
  await cache.load();
  return { cache, path, warnings, outcomes };
}

const noSignal = undefined;

describe('the cache of embeddings', () => {
  it('makes an embedding once, and gives each caller a vector of its own', async () => {
    const { cache, outcomes } = await openCache();
    let made = 0;
    const make = async (): Promise<ImageEmbedding> => embedding(++made);
    const first = await cache.get(keyOf(1), make, noSignal);
    first.vector.fill(0);
    expect(await cache.get(keyOf(1), make, noSignal)).toEqual(embedding(1));
    expect(await cache.get(keyOf(2), make, noSignal)).toEqual(embedding(2));
    expect(outcomes).toEqual(['miss', 'hit', 'miss']);
    await cache.close();
  });

  it('has callers that come together share the making, and its failure, which is not remembered', async () => {
    const { cache, outcomes } = await openCache();
    let made = 0;
    const fail = async (): Promise<ImageEmbedding> => {
      made += 1;
      throw new Error('damaged');
    };
    const failed = await Promise.allSettled([1, 2, 3].map(() => cache.get(keyOf(1), fail, noSignal)));
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(made).toBe(1);
    const make = async (): Promise<ImageEmbedding> => embedding(7);
    const answers = await Promise.all([1, 2, 3].map(() => cache.get(keyOf(1), make, noSignal)));
    expect(answers).toEqual([embedding(7), embedding(7), embedding(7)]);
    expect(new Set(answers.map(({ vector }) => vector)).size).toBe(3);
    expect(outcomes).toEqual(['miss', 'miss', 'shared', 'shared']);
    await cache.close();
  });

  it('makes it anew for those who share it when the one who began has gone', async () => {
    const { cache } = await openCache();
    const gone = new AbortController();
    const first = cache.get(
      keyOf(1),
      () =>
        new Promise((_, reject) => {
          gone.signal.addEventListener('abort', () => reject(gone.signal.reason as Error));
        }),
      gone.signal,
    );
    const second = cache.get(keyOf(1), async () => embedding(2), new AbortController().signal);
    gone.abort(new Error('the client has gone'));
    await expect(first).rejects.toThrow('the client has gone');
    expect(await second).toEqual(embedding(2));
    await cache.close();
  });

  it('tells images and recipes apart', async () => {
    const key = async (bytes: Uint8Array, recipe: string) => recipeKeyOf(await sha256(bytes), recipe);
    const [a, b] = [new Uint8Array([1, 2]), new Uint8Array([1, 3])];
    const keys = [await key(a, 'one'), await key(a, 'two'), await key(b, 'one')];
    expect(new Set(keys).size).toBe(3);
    expect(await key(new Uint8Array([0, 1, 2]).subarray(1), 'one')).toBe(keys[0]);
  });

  it('is bounded, and forgets what was used longest ago', async () => {
    const { cache } = await openCache(undefined, 2000);
    for (let i = 0; i < 100; i++) {
      await cache.get(keyOf(i), async () => embedding(i), noSignal);
      expect(cache.find(keyOf(0))).toBeDefined();
      expect(cache.bytes).toBeLessThanOrEqual(2000);
    }
    expect(cache.entries).toBeGreaterThan(5);
    expect(cache.find(keyOf(99))).toEqual(embedding(99));
    expect(cache.find(keyOf(1))).toBeUndefined();
    await cache.close();
  });
});

describe('the cache on disk', () => {
  it('has after a restart what it had, bit for bit', async () => {
    const { cache, path } = await openCache();
    for (let i = 0; i < 20; i++) await cache.get(keyOf(i), async () => embedding(i, 192), noSignal);
    await cache.close();
    const again = await openCache(path);
    for (let i = 0; i < 20; i++) expect(again.cache.find(keyOf(i))).toEqual(embedding(i, 192));
    expect(again.warnings).toEqual([]);
    await again.cache.close();
  });

  it('leaves out what is damaged or cut off, says so, and goes on', async () => {
    const { cache, path } = await openCache();
    for (let i = 0; i < 4; i++) await cache.get(keyOf(i), async () => embedding(i), noSignal);
    await cache.close();
    const whole = await readFile(path);
    const record = encodeRecord(keyOf(0), embedding(0)).length;
    expect(whole.length).toBe(4 * record);
    for (let at = 2 * record; at < 3 * record; at += 13) {
      const broken = Buffer.from(whole);
      broken[at]! ^= 0x40;
      await writeFile(path, broken);
      const again = await openCache(path);
      expect([0, 1, 2, 3].map((i) => again.cache.find(keyOf(i)) !== undefined)).toEqual([
        true,
        true,
        false,
        false,
      ]);
      expect(again.warnings).toHaveLength(1);
      await again.cache.close();
    }
    await writeFile(path, whole.subarray(0, -1));
    const cut = await openCache(path);
    expect(cut.cache.entries).toBe(3);
    await cut.cache.get(keyOf(9), async () => embedding(9), noSignal);
    await cut.cache.close();
    const healed = await openCache(path);
    expect(healed.warnings).toEqual([]);
    expect(healed.cache.find(keyOf(9))).toEqual(embedding(9));
    expect(healed.cache.entries).toBe(4);
    await healed.cache.close();
  });

  it('is bounded, too, and keeps what was used last', async () => {
    const limit = 4000;
    const { cache, path } = await openCache(undefined, limit);
    for (let i = 0; i < 200; i++) await cache.get(keyOf(i), async () => embedding(i), noSignal);
    await cache.close();
    expect((await stat(path)).size).toBeLessThanOrEqual(limit);
    const again = await openCache(path, limit);
    expect(again.cache.entries).toBeGreaterThan(5);
    expect(again.cache.find(keyOf(199))).toEqual(embedding(199));
    await again.cache.close();
  });

  it('is left alone where the file can’t be used: nothing fails', async () => {
    const { cache, warnings } = await openCache(join(root, 'no', 'such', 'folder'));
    expect(await cache.get(keyOf(1), async () => embedding(1), noSignal)).toEqual(embedding(1));
    expect(cache.find(keyOf(1))).toEqual(embedding(1));
    expect(warnings).toHaveLength(1);
    await cache.close();
  });

  it('reads no record out of anything else', async () => {
    const path = join(root, 'other.bin');
    await writeFile(path, 'something else altogether');
    const { cache, warnings } = await openCache(path);
    expect(cache.entries).toBe(0);
    expect(warnings).toHaveLength(1);
    await cache.close();
    await appendFile(path, encodeRecord(keyOf(3), embedding(3)).subarray(0, 30));
    expect(decodeRecord(await readFile(path), 0)).toBeUndefined();
  });
});
