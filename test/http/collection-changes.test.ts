import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawScene, drawScenes, type DrawnScene } from '../support/drawn-scenes.js';
import { installTiny } from '../support/installed-models.js';
import { TestService } from '../support/test-service.js';

let service: TestService;
let scenes: DrawnScene[];
beforeAll(async () => {
  service = await TestService.start();
  await installTiny(service.dataDir, 'tiny', 'vit-huggingface');
  await installTiny(service.dataDir, 'conv', 'resnet.pth');
  scenes = (await drawScenes({ perClass: 1, width: 96, height: 96 })).slice(0, 5);
});
afterAll(() => service.close());

const C = '/v1/collections';

async function fill(collection: string, settings: object): Promise<void> {
  expect((await service.call('PUT', `${C}/${collection}`, { json: settings })).status).toBe(201);
  for (const [i, { bytes }] of scenes.entries()) {
    const put = await service.call('PUT', `${C}/${collection}/images/${i}`, {
      raw: bytes,
      query: { metadata: `{"n":${i}}` },
    });
    expect(put.status).toBe(201);
  }
}

const search = (collection: string, i: number) =>
  service.call('POST', `${C}/${collection}/search`, { raw: scenes[i]!.bytes, query: { k: 5 } });
const reembed = (collection: string, json: object) =>
  service.call('POST', `${C}/${collection}/reembed`, { json });
const collectionOf = async (name: string) => (await service.call('GET', `${C}/${name}`)).body;

describe('altering a collection', () => {
  it('changes ef and what is kept, and names what to do about the rest', async () => {
    await fill('altered', { model: 'tiny', m: 8 });
    const altered = await service.call('PATCH', `${C}/altered`, { json: { ef: 300, content: 'none', m: 8 } });
    expect([altered.status, altered.body]).toMatchObject([
      200,
      { ef: 300, content: 'none', thumbnails: false },
    ]);
    expect(await collectionOf('altered')).toEqual(altered.body);
    const bytes = (await drawScene({ className: 'ring-on-noise' })).bytes;
    const { body } = await service.call('PUT', `${C}/altered/images/late`, { raw: bytes });
    expect(body.image).toMatchObject({ hasOriginal: false, hasThumbnail: false });
    for (const part of ['content', 'thumbnail']) {
      const { status, body } = await service.call('GET', `${C}/altered/images/late/${part}`);
      expect([status, body.detail]).toEqual([404, expect.stringMatching(/is not kept/)]);
      expect((await service.call('GET', `${C}/altered/images/0/${part}`)).status).toBe(200);
    }
    const refusals: [object, number, RegExp][] = [
      [{ m: 32 }, 409, /m of altered is 8\. It never changes: create another collection/],
      [{ efConstruction: 10 }, 409, /efConstruction of altered is 200/],
      [{ model: 'conv' }, 409, /model of altered is tiny\. POST .*reembed/],
      [{ ef: 0 }, 400, /ef/],
      [{ content: 'all' }, 400, /content/],
      [{ content: 'thumbnail', thumbnails: false }, 400, /keeps nothing/],
      [{ colour: 'red' }, 400, /colour/],
    ];
    for (const [json, status, detail] of refusals) {
      const answer = await service.call('PATCH', `${C}/altered`, { json });
      expect([json, answer.status, answer.body.detail]).toEqual([
        json,
        status,
        expect.stringMatching(detail),
      ]);
    }
    expect(await collectionOf('altered')).toMatchObject({ ef: 300, content: 'none' });
    expect((await service.call('PATCH', `${C}/nowhere`, { json: { ef: 5 } })).status).toBe(404);
  });

  it('is confirmed by a PUT that leaves out what has changed, and refused by one that contradicts', async () => {
    expect((await service.call('PUT', `${C}/altered`, { json: {} })).status).toBe(200);
    expect((await service.call('PUT', `${C}/altered`, { json: { ef: 300, model: 'tiny' } })).status).toBe(
      200,
    );
    const { status, body } = await service.call('PUT', `${C}/altered`, { json: { ef: 301 } });
    expect([status, body.detail]).toEqual([409, expect.stringMatching(/ef 300, not 301\. Alter/)]);
  });
});

describe('aliases', () => {
  it('are created, swapped, listed, described and deleted, and stand for a collection in every route', async () => {
    await fill('blue', { model: 'tiny' });
    await fill('green', { model: 'conv' });
    const put = (collection: string) => service.call('PUT', '/v1/aliases/live', { json: { collection } });
    expect(await put('blue')).toMatchObject({ status: 201, body: { name: 'live', collection: 'blue' } });
    expect((await search('live', 2)).body).toMatchObject({
      model: 'tiny',
      results: [{ id: '2' }, {}, {}, {}, {}],
    });
    expect(await put('green')).toMatchObject({ status: 200, body: { name: 'live', collection: 'green' } });
    expect((await search('live', 2)).body).toMatchObject({
      model: 'conv',
      results: [{ id: '2' }, {}, {}, {}, {}],
    });
    expect((await service.call('GET', `${C}/live/images/1`)).body).toMatchObject({ id: '1' });
    expect((await service.call('GET', '/v1/aliases')).body).toEqual({
      aliases: [{ name: 'live', collection: 'green' }],
    });
    expect((await service.call('GET', '/v1/aliases/live')).body.collection).toBe('green');

    expect((await put('nowhere')).status).toBe(404);
    expect((await service.call('PUT', '/v1/aliases/blue', { json: { collection: 'green' } })).status).toBe(
      409,
    );
    expect((await service.call('PUT', '/v1/aliases/other', { json: { collection: 'live' } })).status).toBe(
      409,
    );
    expect((await service.call('PUT', '/v1/aliases/a%20b', { json: { collection: 'green' } })).status).toBe(
      400,
    );
    expect((await service.call('PUT', '/v1/aliases/other', { json: {} })).status).toBe(400);
    for (const name of ['live', 'green']) {
      expect((await service.call('DELETE', `${C}/${name}`)).status).toBe(409);
    }
    expect((await service.call('DELETE', '/v1/aliases/live')).status).toBe(204);
    for (const method of ['GET', 'DELETE'] as const) {
      expect((await service.call(method, '/v1/aliases/live')).status).toBe(404);
    }
    expect((await service.call('GET', `${C}/live`)).status).toBe(404);
  });

  it('fail no search while they are swapped between collections of two models', async () => {
    const swap = (collection: string) => service.call('PUT', '/v1/aliases/now', { json: { collection } });
    await swap('blue');
    const answers: ReturnType<typeof search>[] = [];
    for (let round = 0; round < 6; round++) {
      answers.push(search('now', round % 5), search('now', (round + 1) % 5));
      await swap(round % 2 === 0 ? 'green' : 'blue');
    }
    for (const { status, body } of await Promise.all(answers)) {
      expect([status, body.results[0]?.score > 0.999]).toEqual([200, true]);
    }
    await service.call('DELETE', '/v1/aliases/now');
  });

  it('fail no write while they are swapped, and show what was written from where it went', async () => {
    const swap = (collection: string) => service.call('PUT', '/v1/aliases/now', { json: { collection } });
    await swap('blue');
    const ids = Array.from({ length: 8 }, (_, i) => `swapped-${i}`);
    const answers = ids.map((id, i) =>
      service.call('PUT', `${C}/now/images/${id}`, { raw: scenes[i % scenes.length]!.bytes }),
    );
    for (let i = 0; i < 8; i++) await swap(i % 2 === 0 ? 'green' : 'blue');
    for (const [i, { status, body }] of (await Promise.all(answers)).entries())
      expect([status, body.image?.id]).toEqual([201, ids[i]]);
    await service.call('DELETE', '/v1/aliases/now');
    for (const id of ids) {
      const found = await Promise.all(
        ['blue', 'green'].map((name) => service.call('DELETE', `${C}/${name}/images/${id}`)),
      );
      expect(found.map(({ status }) => status).sort()).toEqual([204, 404]);
    }
  });
});

describe('re-embedding a collection', () => {
  it('changes its model while searches and writes go on, and pins the next model', async () => {
    await fill('moving', { model: 'tiny' });
    const started = await reembed('moving', { model: 'conv' });
    expect([started.status, started.body]).toMatchObject([202, { kind: 'reembed', collection: 'moving' }]);
    expect(started.headers['location']).toBe(`/v1/jobs/${started.body.id}`);
    const meanwhile = [
      ...[0, 1, 2, 3].map((i) => search('moving', i)),
      service.call('PUT', `${C}/moving/images/new`, {
        raw: scenes[0]!.bytes,
        query: { metadata: '{"n":9}' },
      }),
      service.call('DELETE', `${C}/moving/images/4`),
    ];
    for (const { status, body } of await Promise.all(meanwhile)) {
      expect(status).toBeLessThan(300);
      if (body.results !== undefined) expect(body.results[0].score).toBeGreaterThan(0.999);
    }
    const job = await service.jobs.finished(started.body.id);
    expect(job).toMatchObject({
      state: 'succeeded',
      result: { model: 'conv', resumed: 0, dropped: 0 },
    });
    // What is put or deleted after the swap is not the job's.
    expect(job.done).toBe(job.total);
    expect([4, 5, 6]).toContain(job.done);
    const moved = await collectionOf('moving');
    expect(moved).toMatchObject({ model: 'conv', count: 5, content: 'original' });
    expect(moved.reembedding).toBeUndefined();
    for (const i of [1, 2, 3]) {
      const { body } = await search('moving', i);
      expect(body).toMatchObject({
        model: 'conv',
        results: [{ id: String(i), metadata: { n: i } }, {}, {}, {}, {}],
      });
      expect(body.results[0].score).toBeCloseTo(1, 4);
    }
    expect((await service.call('PUT', `${C}/moving`, { json: {} })).status).toBe(200);
    const removed = await service.call('DELETE', '/v1/models/conv');
    expect([removed.status, removed.body.detail]).toEqual([409, expect.stringContaining('moving')]);
  });

  it('is refused for its own model, unknown ones, missing originals, and twice at once', async () => {
    expect((await reembed('moving', { model: 'conv' })).status).toBe(409);
    expect((await reembed('moving', { model: 'nobody' })).status).toBe(404);
    expect((await reembed('nowhere', { model: 'conv' })).status).toBe(404);
    expect((await reembed('moving', {})).status).toBe(400);
    await service.call('PATCH', `${C}/altered`, { json: { content: 'original' } });
    const lacking = await reembed('altered', { model: 'conv' });
    expect([lacking.status, lacking.body.detail]).toEqual([
      409,
      expect.stringMatching(/^1 of 6 images have no original .*: late\. .*dropMissing/),
    ]);
    const [first, second] = await Promise.all(
      [1, 2].map(() => reembed('altered', { model: 'conv', dropMissing: true })),
    );
    expect([first!.status, second!.status].sort()).toEqual([202, 409]);
    const { id } = (first!.status === 202 ? first! : second!).body;
    expect(await service.jobs.finished(id)).toMatchObject({
      state: 'succeeded',
      result: { dropped: 1, embedded: 5 },
    });
    expect(await collectionOf('altered')).toMatchObject({ count: 5, model: 'conv' });
    expect((await service.call('GET', `${C}/altered/images/late`)).status).toBe(404);
  });

  it('is cancelled without a trace', async () => {
    const before = await collectionOf('blue');
    const { body } = await reembed('blue', { model: 'conv' });
    await service.call('DELETE', `/v1/jobs/${body.id}`);
    expect((await service.jobs.finished(body.id)).state).toBe('cancelled');
    expect(await collectionOf('blue')).toEqual(before);
    expect((await search('blue', 1)).body).toMatchObject({
      model: 'tiny',
      results: [{ id: '1' }, {}, {}, {}, {}],
    });
  });
});
