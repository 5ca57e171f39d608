import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawScenes, SCENE_CLASSES, type DrawnScene } from '../support/drawn-scenes.js';
import { TestService } from '../support/test-service.js';

const PER_CLASS = 4;
const C = '/v1/collections/scenes';

interface Hit {
  readonly id: string;
  readonly score: number;
  readonly group?: unknown;
  readonly vector?: unknown;
}

let service: TestService;
let scenes: DrawnScene[];
const idOf = (i: number) => `${scenes[i]!.className}/${i % PER_CLASS}`;

async function search(json: object): Promise<Hit[]> {
  const { status, body } = await service.call('POST', `${C}/search`, { json });
  expect([status, body.detail]).toEqual([200, undefined]);
  return body.results;
}

beforeAll(async () => {
  service = await TestService.start();
  scenes = await drawScenes({ perClass: PER_CLASS, width: 96, height: 96 });
  await service.call('PUT', C, { json: {} });
  const images = scenes.map(({ bytes, className }, i) => ({
    id: idOf(i),
    image: bytes.toString('base64'),
    metadata: {
      class: className,
      n: i % PER_CLASS,
      taken: `2024-05-0${1 + (i % PER_CLASS)}T00:30:00+02:00`,
      tags: i % 2 === 0 ? ['even', 'all'] : ['all'],
    },
  }));
  // The first photo a second time.
  images.push({ ...images[0]!, id: 'copy' });
  const { body } = await service.call('POST', `${C}/images`, { json: { images } });
  expect(body.results.every((result: { status: string }) => result.status === 'created')).toBe(true);
});
afterAll(() => service.close());

describe('the shape of an answer', () => {
  it('has pages', async () => {
    const all = await search({ id: idOf(1), k: 9 });
    const pages = [await search({ id: idOf(1), k: 4 }), await search({ id: idOf(1), k: 5, offset: 4 })];
    expect(pages.flat()).toEqual(all);
    const { body } = await service.call('POST', `${C}/search`, { query: { id: idOf(1), k: 5, offset: 4 } });
    expect(body.results).toEqual(pages[1]);
  });

  it('leaves out copies and still fills k', async () => {
    const raw = scenes[0]!.bytes;
    const plain = await service.call('POST', `${C}/search`, { raw, query: { k: 5 } });
    expect(
      plain.body.results
        .slice(0, 2)
        .map(({ id }: Hit) => id)
        .sort(),
    ).toEqual(['copy', idOf(0)].sort());
    const query = { k: 5, suppressDuplicates: 0.9999 };
    const { body } = await service.call('POST', `${C}/search`, { raw, query });
    expect(body.results).toHaveLength(5);
    expect(body.results.map(({ id }: Hit) => id)).not.toContain(idOf(0));
  });

  it('has groups, best first, with their value', async () => {
    const hits = await search({ id: idOf(0), k: SCENE_CLASSES.length, groupBy: 'class', groupSize: 2 });
    expect(hits).toHaveLength(2 * SCENE_CLASSES.length);
    expect(new Set(hits.map(({ group }) => group))).toEqual(new Set(SCENE_CLASSES));
    expect(hits[0]!.group).toBe(hits[1]!.group);
    const firsts = hits.filter((_, i) => i % 2 === 0).map(({ score }) => score);
    expect(firsts).toEqual([...firsts].sort((a, b) => b - a));
    expect(await search({ id: idOf(0), k: 5, groupBy: 'nowhere' })).toEqual([]);
  });

  it('has variety, in JSON and in the query', async () => {
    const diversity = { lambda: 0.3, candidates: scenes.length };
    const varied = await search({ id: idOf(0), k: 6, diversity });
    const nearest = await search({ id: idOf(0), k: 6 });
    expect(varied).toHaveLength(6);
    expect(varied[0]).toEqual(nearest[0]);
    expect(varied).not.toEqual(nearest);
    expect(await search({ id: idOf(0), k: 6, diversity: { lambda: 1 } })).toEqual(nearest);
    const { body } = await service.call('POST', `${C}/search`, {
      query: { id: idOf(0), k: 6, diversity: JSON.stringify(diversity) },
    });
    expect(body.results).toEqual(varied);
  });

  it('has vectors as floats and as base64', async () => {
    const [{ vector: floats } = {}] = await search({ id: idOf(1), k: 1, withVectors: 'float' });
    const [{ id, vector: text } = { id: '' }] = await search({ id: idOf(1), k: 1, withVectors: 'base64' });
    const bytes = Buffer.from(text as string, 'base64');
    expect(Array.from(floats as number[], Math.fround)).toEqual([
      ...new Float32Array(new Uint8Array(bytes).buffer),
    ]);
    expect(Math.hypot(...(floats as number[]))).toBeCloseTo(1, 5);
    const path = `${C}/images/${encodeURIComponent(id)}`;
    const alone = await service.call('GET', path, { query: { withVectors: 'base64' } });
    expect(alone.body).toMatchObject({ id, vector: text });
    const listed = await service.call('GET', `${C}/images`, { query: { withVectors: 'float', limit: 100 } });
    expect(listed.body.images.find((image: Hit) => image.id === id).vector).toEqual(floats);
    for (const plain of [path, `${C}/images`]) {
      expect(JSON.stringify((await service.call('GET', plain)).body)).not.toContain('"vector"');
    }
  });

  it('compares dates as instants', async () => {
    const filter = { field: 'taken', lt: { date: '2024-05-02' } };
    const hits = await search({ id: 'copy', k: 100, filter });
    // Half past midnight in summer time is still the day before in UTC.
    expect(hits.length).toBe(2 * SCENE_CLASSES.length);
    expect(await search({ id: 'copy', k: 100, filter: { field: 'taken', lt: '2024-05-02' } })).toHaveLength(
      SCENE_CLASSES.length,
    );
  });
});

describe('a batch of queries', () => {
  it('answers each in order, as if it was alone, and names what is wrong with one', async () => {
    const image = scenes[3]!.bytes.toString('base64');
    const good = [
      { id: idOf(0), k: 3 },
      { image, k: 2 },
      { image, region: { bbox: [0, 0, 50, 50] } },
    ];
    const bad = [
      { id: 'nobody' },
      { image: 'AAAA' },
      { image: '!' },
      { id: idOf(0), image },
      { id: idOf(0), groupSize: 2 },
      { vector: [1, 2] },
    ];
    const { status, body } = await service.call('POST', `${C}/search/batch`, {
      json: { queries: [good[0], ...bad, ...good.slice(1)] },
    });
    expect(status).toBe(200);
    expect(body.answers.slice(1, -2).map(({ error }: { error: { status: number } }) => error.status)).toEqual(
      [404, 415, 400, 400, 400, 400],
    );
    const answered = [body.answers[0], ...body.answers.slice(-2)];
    for (const [i, query] of good.entries()) {
      const alone = await search(query);
      expect(answered[i].results.map(({ id }: Hit) => id)).toEqual(alone.map(({ id }) => id));
      answered[i].results.forEach(({ score }: Hit, at: number) =>
        expect(score).toBeCloseTo(alone[at]!.score, 4),
      );
    }
  });

  it.each([
    ['no query', { queries: [] }, 400],
    ['101 queries', { queries: new Array(101).fill({ id: 'a' }) }, 400],
    ['a query with an unknown key', { queries: [{ id: 'a', page: 2 }] }, 400],
    ['no list', {}, 400],
  ])('is refused with %s', async (_, json, status) => {
    expect((await service.call('POST', `${C}/search/batch`, { json })).status).toBe(status);
  });

  it('is refused as a whole where the collection is not there', async () => {
    const json = { queries: [{ id: 'a' }] };
    expect((await service.call('POST', '/v1/collections/nobody/search/batch', { json })).status).toBe(404);
  });
});

describe('facets and counts', () => {
  it('count values with their types, under a filter too', async () => {
    const { body } = await service.call('POST', `${C}/facets`, { json: { field: 'tags' } });
    const total = scenes.length + 1;
    expect(body).toEqual({
      values: [
        { value: 'all', count: total },
        { value: 'even', count: scenes.length / 2 + 1 },
      ],
      distinct: 2,
      total,
      missing: 0,
    });
    const filter = { field: 'n', gte: 2 };
    const few = await service.call('POST', `${C}/facets`, { json: { field: 'n', filter, limit: 1 } });
    expect(few.body).toEqual({
      values: [{ value: 2, count: SCENE_CLASSES.length }],
      distinct: 2,
      total: scenes.length / 2,
      missing: 0,
    });
    expect((await service.call('POST', `${C}/count`, { json: { filter } })).body).toEqual({
      count: scenes.length / 2,
    });
    expect((await service.call('POST', `${C}/count`)).body).toEqual({ count: total });
  });

  it('refuse what they cannot read', async () => {
    for (const json of [
      {},
      { field: '' },
      { field: 'n', limit: 0 },
      { field: 'n', limit: 1001 },
      { field: 'n', filter: {} },
      { field: 'n', order: 1 },
    ])
      expect((await service.call('POST', `${C}/facets`, { json })).status).toBe(400);
    expect((await service.call('POST', `${C}/count`, { json: { filter: { field: 'n' } } })).status).toBe(400);
    for (const verb of ['facets', 'count'])
      expect(
        (await service.call('POST', `/v1/collections/nobody/${verb}`, { json: { field: 'n' } })).status,
      ).toBeGreaterThanOrEqual(400);
  });
});

describe('bad input', () => {
  it.each<[object, RegExp]>([
    [{ k: 0 }, /k/],
    [{ offset: -1 }, /offset/],
    [{ offset: 9995 }, /offset \+ k/],
    [{ suppressDuplicates: 1.5 }, /suppressDuplicates/],
    [{ diversity: { lambda: 2 } }, /lambda/],
    [{ diversity: { lamda: 0.5 } }, /lamda/],
    [{ diversity: 0.5 }, /diversity/],
    [{ groupBy: '' }, /metadata field/],
    [{ groupSize: 3 }, /groupBy/],
    [{ groupBy: 'class', diversity: {} }, /do not go together/],
    [{ withVectors: 'double' }, /withVectors/],
    [{ filter: { field: 'taken', lt: { date: 'tomorrow' } } }, /ISO 8601/],
    [{ filter: { field: 'taken', lt: { day: 1 } } }, /filter/],
  ])('%j is refused with a clear problem', async (options, about) => {
    const { status, body } = await service.call('POST', `${C}/search`, { json: { id: idOf(0), ...options } });
    expect(status).toBe(400);
    expect(JSON.stringify(body)).toMatch(about);
  });

  it.each(['{"lambda":"x"}', '5', '{', '{"lambda":3}'])(
    'diversity=%s in the query, too',
    async (diversity) => {
      const { status, body } = await service.call('POST', `${C}/search`, {
        query: { id: idOf(0), diversity },
      });
      expect([status, body.detail]).toEqual([400, expect.stringMatching(/diversity|lambda/)]);
    },
  );
});

describe('near-duplicates', () => {
  it('are found by a job that can be watched', async () => {
    const started = await service.call('POST', `${C}/duplicates`, { json: { threshold: 0.9999 } });
    expect(started.status).toBe(202);
    expect(started.body).toMatchObject({ kind: 'duplicates', collection: 'scenes' });
    const path = started.headers['location']!;
    await service.jobs.finished(started.body.id);
    const { body } = await service.call('GET', path);
    expect(body).toMatchObject({ state: 'succeeded', done: scenes.length + 1, total: scenes.length + 1 });
    expect(body.result).toMatchObject({ images: scenes.length + 1, exact: true });
    expect(body.result.groups.map(({ ids }: { ids: string[] }) => ids)).toContainEqual(['copy', idOf(0)]);
  });

  it('are refused where the request is not good, or the collection is not there', async () => {
    for (const json of [{ threshold: 1.5 }, { maxPairs: -1 }, { filter: {} }, { exact: 1 }, { near: 1 }])
      expect((await service.call('POST', `${C}/duplicates`, { json })).status).toBe(400);
    expect((await service.call('POST', '/v1/collections/nobody/duplicates')).status).toBe(404);
  });
});
