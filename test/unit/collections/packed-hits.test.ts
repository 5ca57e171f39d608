import { describe, expect, it } from 'vitest';
import { packHits, unpackHits } from '#dino/collections/embedded/packed-hits.js';

describe('hits that are packed', () => {
  it('come out as they went in, whatever their ids and metadata are', () => {
    const metadata = [{}, { 'a "quoted" key': ['\u2028', '\\'], size: -1.5e-7 }, { ['__proto__']: 'own' }];
    const hits = metadata.map((each, i) => ({
      id: `"${i}"\u00e9\ud83d\ude00`,
      score: [1, -0.1234567890123, 3e-9][i]!,
      metadata: JSON.stringify(each),
      ...(i === 1 && { group: 'a\nb', bbox: [0, 1, 2.5, 3] as [number, number, number, number] }),
    }));
    const unpacked = unpackHits(structuredClone(packHits(hits))).list();
    expect(unpacked).toEqual(
      hits.map((hit, i) => ({ ...hit, metadata: JSON.parse(JSON.stringify(metadata[i])) as object })),
    );
    expect(Object.keys(unpacked[2]!.metadata)).toEqual(['__proto__']);
  });

  it('have their vectors where those were asked for', () => {
    const vectors = [Float32Array.of(0.6, 0.8), Float32Array.of(1, 0)];
    const hits = vectors.map((vector, i) => ({ id: `${i}`, score: i, metadata: '{}', vector }));
    expect(
      unpackHits(packHits(hits))
        .list()
        .map(({ vector }) => vector),
    ).toEqual(vectors);
    expect(unpackHits(packHits([])).list()).toEqual([]);
  });
});
