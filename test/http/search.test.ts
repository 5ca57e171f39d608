import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawScene, drawScenes, SCENE_CLASSES, type DrawnScene } from '../support/drawn-scenes.js';
import { TestService } from '../support/test-service.js';

const PER_CLASS = 6;
const C = '/v1/collections/scenes';

// Once with the scan that a small collection gets, once with the graph.
describe.each([
  ['scanning', 10_000],
  ['the graph', 0],
])('search by %s', (_name, exactBelow) => {
  let service: TestService;
  let scenes: DrawnScene[];
  const idOf = (i: number) => `${scenes[i]!.className}/${i % PER_CLASS}`;

  beforeAll(async () => {
    service = await TestService.start({ exactBelow });
    scenes = await drawScenes({ perClass: PER_CLASS, width: 160, height: 160 });
    await service.call('PUT', C, { json: {} });
    const images = scenes.map(({ bytes, className }, i) => ({
      id: idOf(i),
      image: bytes.toString('base64'),
      metadata: { class: className, n: i % PER_CLASS },
    }));
    const { body } = await service.call('POST', `${C}/images`, { json: { images } });
    expect(body.results.every((result: { status: string }) => result.status === 'created')).toBe(true);
  });
  afterAll(() => service.close());

  it('finds a stored photo first, with a score of one', async () => {
    for (let i = 0; i < scenes.length; i += 5) {
      const { body } = await service.call('POST', `${C}/search`, { raw: scenes[i]!.bytes, query: { k: 3 } });
      expect(body.results).toHaveLength(3);
      expect(body.results[0].id).toBe(idOf(i));
      expect(body.results[0].score).toBeGreaterThanOrEqual(0.999);
      expect(body.results[0].metadata).toEqual({ class: scenes[i]!.className, n: i % PER_CLASS });
      const scores = body.results.map((result: { score: number }) => result.score);
      expect(scores).toEqual([...scores].sort((a: number, b: number) => b - a));
    }
  });

  it('finds the same class next to a new picture of it', async () => {
    let right = 0;
    for (const className of SCENE_CLASSES) {
      const query = await drawScene({ className, seed: 500, width: 160, height: 160 });
      const { body } = await service.call('POST', `${C}/search`, { raw: query.bytes, query: { k: 1 } });
      if (body.results[0].metadata.class === className) right += 1;
    }
    expect(right).toBeGreaterThanOrEqual(SCENE_CLASSES.length - 1);
  });

  it('by id leaves the image itself out and agrees with search by its vector', async () => {
    const byId = await service.call('POST', `${C}/search`, { json: { id: idOf(0), k: 5 } });
    expect(byId.body.results.map((hit: { id: string }) => hit.id)).not.toContain(idOf(0));
    const embedding = await service.call('POST', '/v1/embeddings', { raw: scenes[0]!.bytes });
    const vector = embedding.body.data[0].embedding.map((value: number) => value * 3);
    const byVector = await service.call('POST', `${C}/search`, { json: { vector, k: 6 } });
    expect(byVector.body.results[0].id).toBe(idOf(0));
    expect(byVector.body.results.slice(1).map((hit: { id: string }) => hit.id)).toEqual(
      byId.body.results.map((hit: { id: string }) => hit.id),
    );
    const byQuery = await service.call('POST', `${C}/search`, { query: { id: idOf(0), k: 5 } });
    expect(byQuery.body.results).toEqual(byId.body.results);
  });

  it('fills k with what passes the filter, in JSON and in the query', async () => {
    const filter = {
      and: [
        { field: 'class', in: ['ring-on-noise', 'cross-on-dots'] },
        { field: 'n', gte: 3 },
      ],
    };
    const json = await service.call('POST', `${C}/search`, { json: { id: idOf(0), k: 50, filter } });
    expect(json.body.results).toHaveLength(6);
    const query = await service.call('POST', `${C}/search`, {
      raw: scenes[0]!.bytes,
      query: { k: 50, filter: JSON.stringify(filter) },
    });
    expect(new Set(query.body.results.map((hit: { id: string }) => hit.id))).toEqual(
      new Set(json.body.results.map((hit: { id: string }) => hit.id)),
    );
    expect(
      (
        await service.call('POST', `${C}/search`, {
          json: { id: idOf(0), filter: { field: 'class', eq: 'nothing' } },
        })
      ).body.results,
    ).toEqual([]);
  });

  it('returns nothing below minScore', async () => {
    const all = (await service.call('POST', `${C}/search`, { json: { id: idOf(0), k: 100 } })).body.results;
    expect(all).toHaveLength(scenes.length - 1);
    const minScore = all[4].score;
    const few = (await service.call('POST', `${C}/search`, { json: { id: idOf(0), k: 100, minScore } })).body
      .results;
    expect(few.length).toBeGreaterThanOrEqual(5);
    expect(few.every((hit: { score: number }) => hit.score >= minScore)).toBe(true);
  });

  it('with examples ranks by the mean of the positive less the mean of the negative, and leaves them out', async () => {
    const input = scenes.map(({ bytes }) => bytes.toString('base64'));
    const { data } = (await service.call('POST', '/v1/embeddings', { json: { input } })).body;
    const vectors: number[][] = data.map((item: { embedding: number[] }) => item.embedding);
    const [positive, negative] = [
      [0, 1, 8],
      [PER_CLASS, 20],
    ];
    const mean = (rows: number[], i: number) =>
      rows.reduce((sum, row) => sum + vectors[row]![i]!, 0) / rows.length;
    const wanted = vectors[0]!.map((_, i) => mean(positive, i) - mean(negative, i));
    const length = Math.hypot(...wanted);
    const expected = vectors
      .map((vector, i) => ({
        id: idOf(i),
        score: vector.reduce((sum, value, j) => sum + (value * wanted[j]!) / length, 0),
      }))
      .filter((_, i) => ![...positive, ...negative].includes(i))
      .sort((a, b) => b.score - a.score);
    const json = { positive: positive.map(idOf), negative: negative.map(idOf), k: 100 };
    const { results } = (await service.call('POST', `${C}/search`, { json })).body;
    expect(new Set(results.map((hit: { id: string }) => hit.id))).toEqual(
      new Set(expected.map(({ id }) => id)),
    );
    results.forEach((hit: { score: number }, i: number) =>
      expect(hit.score).toBeCloseTo(expected[i]!.score, 4),
    );
    expect((await service.call('POST', `${C}/search`, { json: { positive: ['nobody'] } })).status).toBe(404);
  });

  it('exact and by the graph give the same on a small collection', async () => {
    const ask = async (exact: boolean) =>
      (await service.call('POST', `${C}/search`, { json: { id: idOf(7), k: 10, exact, ef: 64 } })).body
        .results;
    const [scan, graph] = [await ask(true), await ask(false)];
    expect(graph.map((hit: { id: string }) => hit.id)).toEqual(scan.map((hit: { id: string }) => hit.id));
  });

  it('classifies by the vote of the neighbours', async () => {
    const query = await drawScene({ className: 'disc-on-stripes', seed: 700, width: 160, height: 160 });
    const { status, body } = await service.call('POST', `${C}/classify`, {
      raw: query.bytes,
      query: { field: 'class', k: 5 },
    });
    expect(status).toBe(200);
    expect(body.label).toBe('disc-on-stripes');
    expect(body.votes.reduce((sum: number, vote: { weight: number }) => sum + vote.weight, 0)).toBeCloseTo(
      1,
      6,
    );
    // The weights are those of the formula, computed here from the scores.
    const { results } = (await service.call('POST', `${C}/search`, { raw: query.bytes, query: { k: 5 } }))
      .body;
    const weights = results.map((hit: { score: number }) => Math.exp(hit.score / 0.07));
    const total = weights.reduce((sum: number, weight: number) => sum + weight, 0);
    const share = results.reduce(
      (sum: number, hit: { metadata: { class: string } }, i: number) =>
        hit.metadata.class === body.label ? sum + weights[i] / total : sum,
      0,
    );
    expect(body.votes[0].weight).toBeCloseTo(share, 4);
    expect(
      (await service.call('POST', `${C}/classify`, { json: { id: idOf(0), field: 'nothing' } })).body,
    ).toMatchObject({ label: null, votes: [] });
    expect((await service.call('POST', `${C}/classify`, { raw: query.bytes })).status).toBe(400);
  });

  it('finds everything again after a restart', async () => {
    const before = (await service.call('POST', `${C}/search`, { json: { id: idOf(3), k: 20 } })).body.results;
    await service.restart();
    expect((await service.call('GET', C)).body.count).toBe(scenes.length);
    const after = (await service.call('POST', `${C}/search`, { json: { id: idOf(3), k: 20 } })).body.results;
    expect(after).toEqual(before);
  });
});
