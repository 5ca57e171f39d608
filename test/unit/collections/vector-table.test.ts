import { describe, expect, it } from 'vitest';
import { VectorTable } from '#dino/collections/embedded/vector-table.js';
import { byCodePoint, cosine, createRandom } from '../../contracts/collection-fixtures.js';

const DIMENSION = 5;
const NOTHING: ReadonlySet<number> = new Set();

function unit(random: () => number): Float32Array {
  const vector = Float32Array.from({ length: DIMENSION }, () => random() - 0.5);
  const norm = Math.hypot(...vector);
  return vector.map((element) => element / norm);
}

describe('VectorTable', () => {
  it('holds and ranks the same as a plain map after thousands of random changes', () => {
    const random = createRandom(2);
    const table = new VectorTable(DIMENSION);
    const plain = new Map<number, { id: string; vector: Float32Array }>();
    for (let label = 0; label < 4000; label++) {
      const vector = unit(random);
      table.add(label, `id ${label}`, vector);
      plain.set(label, { id: `id ${label}`, vector });
      while (plain.size > 0 && random() < 0.45) {
        const labels = [...plain.keys()];
        const victim = labels[Math.floor(random() * labels.length)]!;
        table.delete(victim);
        plain.delete(victim);
      }
    }
    expect(plain.size).toBeGreaterThan(100);
    expect(table.size).toBe(plain.size);
    expect([...table.allLabels()].sort((a, b) => a - b)).toEqual([...plain.keys()]);
    for (const [label, { vector }] of plain) expect(table.get(label)).toEqual(vector);

    const query = unit(random);
    const excluded = new Set([...plain.keys()].filter((label) => label % 7 === 0));
    const among = [...plain.keys()].filter((label) => label % 2 === 0);
    for (const pool of [undefined, among]) {
      const expected = [...plain]
        .filter(([label]) => !excluded.has(label) && (pool === undefined || pool.includes(label)))
        .map(([label, { id, vector }]) => ({ label, id, score: cosine(query, vector) }))
        .sort((a, b) => b.score - a.score)
        .slice(0, 50);
      const found = table.nearest(query, 50, pool, excluded);
      expect(found.map(({ label, id }) => ({ label, id }))).toEqual(
        expected.map(({ label, id }) => ({ label, id })),
      );
      found.forEach(({ score }, i) => expect(score).toBeCloseTo(expected[i]!.score, 6));
    }
  });

  it('holds vectors in more than one chunk of memory', () => {
    const dimension = 8192;
    const table = new VectorTable(dimension);
    for (let label = 0; label < 100; label++) {
      const vector = new Float32Array(dimension);
      vector[label] = 1;
      table.add(label, `${label}`, vector);
    }
    for (let label = 0; label < 50; label++) table.delete(label);
    for (let label = 50; label < 100; label++) {
      const query = table.get(label).slice();
      expect(query[label]).toBe(1);
      expect(table.nearest(query, 1, undefined, NOTHING)).toEqual([{ label, id: `${label}`, score: 1 }]);
    }
  });

  it('breaks ties by id, of any number of equal vectors', () => {
    const random = createRandom(4);
    const table = new VectorTable(2);
    const ids = Array.from({ length: 300 }, () =>
      String.fromCodePoint(0xff00 + Math.floor(random() * 0x1000)),
    );
    const unique = [...new Set(ids)];
    unique.forEach((id, label) => table.add(label, id, new Float32Array([1, 0])));
    const found = table.nearest(new Float32Array([1, 0]), 40, undefined, NOTHING);
    expect(found.map(({ id }) => id)).toEqual(unique.sort(byCodePoint).slice(0, 40));
  });

  it('says so when a label is not there', () => {
    const table = new VectorTable(2);
    expect(() => table.get(3)).toThrow(/label 3/);
    expect(() => table.delete(3)).toThrow(/label 3/);
  });
});
