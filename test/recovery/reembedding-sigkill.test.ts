import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { createRandom, settings, sha256 } from '../contracts/collection-fixtures.js';

const WRITER = fileURLToPath(new URL('reembedding-writer.js', import.meta.url));
const ROUNDS = 8;

interface Said {
  readonly event: 'put' | 'begun' | 'made' | 'swapped';
  readonly id?: string;
  readonly model?: string;
  readonly done?: number;
}

/** Starts the writer and kills it once it has said `lines` lines. */
async function writeAndKill(dataDir: string, round: number, lines: number): Promise<Said[]> {
  const child = spawn(process.execPath, [WRITER, dataDir, String(round)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  const said: Said[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    // The last line may be cut by the kill; then it was never said.
    if (!line.endsWith('}')) continue;
    said.push(JSON.parse(line) as Said);
    if (said.length === lines) child.kill('SIGKILL');
  }
  expect(await closed).toEqual([null, 'SIGKILL']);
  return said;
}

/** As the writer has it. */
function vectorOf(model: string, id: string, dimension: number): Float32Array {
  const digest = createHash('sha512').update(`${model} ${id}`).digest();
  return Float32Array.from({ length: dimension }, (_, i) => digest.readInt32LE(4 * i));
}

describe('a store whose process is killed while a collection is re-embedded', () => {
  let dataDir: string;
  const warnings: string[] = [];
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'dino-reembed-'));
    const store = await EmbeddedCollectionStore.open({ dataDir, exactBelow: 1 });
    await store.createCollection(
      'c',
      settings({ model: 'one', modelFingerprint: sha256('one'), dimension: 8 }),
    );
    await store.close();
  });
  afterAll(() => rm(dataDir, { recursive: true }));

  it('has every image with the vector of one model, the old or the new one, and goes on where it was', async () => {
    const random = createRandom(Date.now());
    const acknowledged = new Set<string>();
    let swaps = 0;
    let resumed = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const said = await writeAndKill(dataDir, round, 30 + Math.floor(random() * 120));
      for (const { event, id, done } of said) {
        if (event === 'put') acknowledged.add(id!);
        if (event === 'swapped') swaps++;
        if (event === 'begun' && done! > 0) resumed++;
      }
      const lastSwap = said.filter(({ event }) => event === 'swapped').at(-1);

      const store = await EmbeddedCollectionStore.open({
        dataDir,
        exactBelow: 1,
        onWarning: (message) => warnings.push(message),
      });
      const { model, modelFingerprint, dimension, count } = await store.getCollection('c');
      expect([modelFingerprint, dimension]).toEqual([sha256(model), model === 'one' ? 8 : 12]);
      // The swap after the last that was said may have been made and not been said.
      const swapped = said.slice(said.indexOf(lastSwap!) + 1).some(({ event }) => event === 'begun');
      if (lastSwap !== undefined && !swapped) expect(model).toBe(lastSwap.model);
      await store.settle();
      const { images } = await store.listImages('c', { limit: 1000 });
      expect(images).toHaveLength(count);
      const stored = new Set(images.map(({ id }) => id));
      for (const id of acknowledged) expect(stored.has(id), id).toBe(true);
      for (const id of stored) {
        acknowledged.add(id);
        const vector = vectorOf(model, id, dimension);
        for (const exact of [true, false]) {
          const [best] = await store.search('c', { vector, k: 1, exact, modelFingerprint });
          expect([best!.id, best!.score > 0.999999]).toEqual([id, true]);
        }
      }
      await store.close();
    }
    expect(warnings).toEqual([]);
    expect(swaps).toBeGreaterThan(0);
    expect(resumed).toBeGreaterThan(0);
  });
});
