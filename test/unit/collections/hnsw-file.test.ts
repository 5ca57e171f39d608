import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectHnswFile } from '#dino/collections/embedded/hnsw-file.js';
import { HnswGraph } from '#dino/collections/embedded/hnsw-graph.js';
import { VectorTable } from '#dino/collections/embedded/vector-table.js';
import { createRandom } from '../../contracts/collection-fixtures.js';

const DIMENSION = 8;

function save(path: string, count: number): HnswGraph {
  const random = createRandom(count);
  // Few links make many levels, and so many lengths to follow.
  const graph = HnswGraph.create({ dimension: DIMENSION, m: 2, efConstruction: 10, ef: 10 });
  const table = new VectorTable(DIMENSION);
  const labels = Array.from({ length: count }, (_, label) => label);
  for (const label of labels) {
    table.add(
      label,
      `${label}`,
      Float32Array.from({ length: DIMENSION }, () => random() - 0.5),
    );
  }
  graph.add(labels, table);
  graph.save(path);
  return graph;
}

describe('inspectHnswFile', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dino-hnsw-file-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  // The last is read in several blocks of 1 MiB, with lengths across their borders.
  it.each([0, 1, 2, 500, 30_000])('describes a whole file of %i elements', async (count) => {
    const path = join(folder, `${count}.hnsw`);
    save(path, count);
    const bytes = await readFile(path);
    expect(inspectHnswFile(path)).toEqual({
      count,
      dimension: DIMENSION,
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    });
  });

  it('knows a file that ends early, wherever that is, and one that goes on', async () => {
    const path = join(folder, 'part.hnsw');
    save(path, 10);
    const bytes = await readFile(path);
    expect(inspectHnswFile(path)?.count).toBe(10);
    for (let length = 0; length < bytes.length; length++) {
      await writeFile(path, bytes.subarray(0, length));
      expect(inspectHnswFile(path), `${length} of ${bytes.length} bytes`).toBeUndefined();
    }
    await writeFile(path, Buffer.concat([bytes, Buffer.alloc(1)]));
    expect(inspectHnswFile(path)).toBeUndefined();
  });

  it.each([16, 24])('knows a file whose header is wrong at byte %i', async (offset) => {
    const path = join(folder, 'header.hnsw');
    save(path, 40);
    const bytes = await readFile(path);
    for (const wrong of [0n, 41n, 2n ** 63n]) {
      bytes.writeBigUInt64LE(wrong, offset);
      await writeFile(path, bytes);
      expect(inspectHnswFile(path)).toBeUndefined();
    }
  });

  it('is told of a graph that could not be written', () => {
    const path = join(folder, 'no', 'such', 'folder.hnsw');
    expect(() => save(path, 3)).toThrow(/cannot open.*No such file/);
    expect(() => inspectHnswFile(path)).toThrow(/ENOENT/);
  });
});
