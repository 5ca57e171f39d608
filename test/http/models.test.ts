import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawScene } from '../support/drawn-scenes.js';
import { copyModel, installTiny } from '../support/installed-models.js';
import { TestService } from '../support/test-service.js';

const BUNDLED = 'dino-vitmicro16-photos';

let service: TestService;
let photo: Uint8Array;
let other: Uint8Array;
beforeAll(async () => {
  service = await TestService.start();
  await installTiny(service.dataDir, 'tiny', 'vit-huggingface');
  await installTiny(service.dataDir, 'conv', 'resnet.pth');
  photo = (await drawScene({ className: 'disc-on-stripes' })).bytes;
  other = (await drawScene({ className: 'ring-on-noise' })).bytes;
});
afterAll(() => service.close());

const get = async (name: string) => (await service.call('GET', `/v1/models/${name}`)).body;
const load = (name: string) => service.call('POST', `/v1/models/${name}/load`);
const unload = (name: string) => service.call('POST', `/v1/models/${name}/unload`);
const remove = (name: string) => service.call('DELETE', `/v1/models/${name}`);
const embed = (model?: string) =>
  service.call('POST', '/v1/embeddings', { raw: photo, query: model === undefined ? {} : { model } });

describe('the models of a service', () => {
  it('are listed with what they can do, also when they were installed while it runs', async () => {
    const { data, unusable } = (await service.call('GET', '/v1/models')).body;
    expect(unusable).toEqual([]);
    const facts = { status: 'available', reason: null, source: 'installed', default: false, memoryBytes: 0 };
    expect(data).toMatchObject([
      { id: 'conv', ...facts, heads: 0, outputs: ['embedding', 'patch_tokens'], patchSize: 32 },
      { id: BUNDLED, status: 'ready', source: 'bundled', default: true, licence: 'Apache-2.0' },
      { id: 'tiny', ...facts, outputs: ['embedding', 'patch_tokens', 'attention', 'keys'] },
    ]);
    expect(data[1].memoryBytes).toBeGreaterThan(data[1].manifest.file.bytes);
    expect((await get('conv')).manifest.architecture.heads).toBeUndefined();
  });

  it('are loaded by their first use, and say so', async () => {
    const { status, body } = await embed('conv');
    expect([status, body.model, body.data[0].embedding.length]).toEqual([200, 'conv', 96]);
    expect(body.usage.total_tokens).toBe((224 / 32) ** 2);
    expect(await get('conv')).toMatchObject({ status: 'ready' });
    expect(await get('tiny')).toMatchObject({ status: 'available' });
  });

  it('are loaded and unloaded on demand, and answer the same ever after', async () => {
    const loaded = await load('tiny');
    expect([loaded.status, loaded.body.status]).toEqual([200, 'ready']);
    expect(loaded.body.memoryBytes).toBeGreaterThan(0);
    const before = (await embed('tiny')).body;
    for (let time = 0; time < 2; time++) {
      const { status, body } = await unload('tiny');
      expect([status, body.status, body.memoryBytes]).toEqual([200, 'available', 0]);
    }
    expect((await embed('tiny')).body).toEqual(before);
  });

  it('never fail a request that comes while one is unloaded', async () => {
    const answers = await Promise.all([
      embed('tiny'),
      unload('tiny'),
      embed('tiny'),
      unload('tiny'),
      embed('tiny'),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(answers[4].body).toEqual(answers[0].body);
  });

  it('that are not there are 404 in every way', async () => {
    const answers = [
      await service.call('GET', '/v1/models/nobody'),
      await load('nobody'),
      await unload('nobody'),
      await remove('nobody'),
      await embed('nobody'),
      await service.call('POST', '/v1/attention', { raw: photo, query: { model: 'nobody' } }),
      await service.call('PUT', '/v1/collections/lost', { json: { model: 'nobody' } }),
    ];
    for (const { status, body } of answers) {
      expect(status).toBe(404);
      expect(body.detail).toBe(`There is no model nobody. There are: conv, ${BUNDLED}, tiny.`);
    }
  });

  it('keep the default one loaded and on the disk, and the bundled ones on the disk', async () => {
    const refused = await unload(BUNDLED);
    expect(refused.status).toBe(409);
    expect(refused.body.detail).toMatch(/is the default model, which is always loaded/);
    expect((await remove(BUNDLED)).status).toBe(409);
    expect((await embed()).status).toBe(200);
  });

  it('tell why one could not be loaded, with 500, until it is whole again', async () => {
    await copyModel(service.dataDir, 'conv', 'damaged');
    const folder = join(service.dataDir, 'models', 'damaged');
    await writeFile(join(folder, 'model.onnx'), 'cut off');
    for (const { status, body } of [await load('damaged'), await embed('damaged')]) {
      expect(status).toBe(500);
      expect(body.detail).toMatch(/^The model damaged can't be loaded: the SHA-256 of .*manifest$/);
    }
    expect(await get('damaged')).toMatchObject({
      status: 'failed',
      reason: expect.stringMatching(/SHA-256/),
    });
    await writeFile(join(folder, 'manifest.json'), '{}');
    const { data, unusable } = (await service.call('GET', '/v1/models')).body;
    expect(data).toHaveLength(3);
    expect(unusable).toMatchObject([{ name: 'damaged', source: 'installed' }]);
    const { status, body } = await service.call('GET', '/v1/models/damaged');
    expect([status, body.detail]).toEqual([500, expect.stringMatching(/damaged can't be used/)]);
    expect((await remove('damaged')).status).toBe(204);
    expect(await readdir(join(service.dataDir, 'models'))).toEqual(['conv', 'tiny']);
  });
});

describe('a model without attention and keys', () => {
  it.each([
    ['/v1/attention', {}, 'attention maps'],
    [
      '/v1/attention',
      { rollout: true },
      'attention between all its tokens in every block, which rollout goes through',
    ],
    ['/v1/masks', {}, 'attention maps'],
    ['/v1/masks', { method: 'tokencut' }, 'attention keys, which TokenCut and LOST work on'],
    ['/v1/masks', { method: 'lost' }, 'attention keys, which TokenCut and LOST work on'],
  ])('is refused by %s %o with what it lacks and the models that have it', async (path, options, lacking) => {
    const { variant } = (await get('conv')).manifest.architecture;
    const { status, body } = await service.call('POST', path, {
      raw: photo,
      query: { model: 'conv', ...options },
    });
    expect(status).toBe(400);
    expect(body.detail).toBe(
      `The model conv (${variant}) has no ${lacking}. Models that have: ${BUNDLED}, tiny.`,
    );
  });

  it('embeds, while another gives the masks', async () => {
    expect((await embed('conv')).status).toBe(200);
    const { body } = await service.call('POST', '/v1/attention', { raw: photo, query: { model: 'tiny' } });
    expect(body.attention).toHaveLength(body.heads);
    expect(body.heads).toBe((await get('tiny')).heads);
    const query = { model: 'tiny', rollout: true };
    const rollout = await service.call('POST', '/v1/attention', { raw: photo, query });
    expect(rollout.body.attention[0]).toHaveLength(body.attention[0].length);
  });
});

describe('an XCiT', () => {
  it('shows its attention and finds masks as a ViT does', async () => {
    await installTiny(service.dataDir, 'xcit', 'xcit-p16.pth');
    const { heads, outputs } = await get('xcit');
    expect(outputs).toEqual(['embedding', 'patch_tokens', 'attention', 'keys']);
    const query = { model: 'xcit', size: 160 };
    const { body } = await service.call('POST', '/v1/attention', { raw: photo, query });
    expect([body.heads, body.attention.length]).toEqual([heads, heads]);
    for (const row of body.attention) expect(row).toHaveLength(body.grid.width * body.grid.height);
    const rollout = await service.call('POST', '/v1/attention', {
      raw: photo,
      query: { ...query, rollout: true },
    });
    expect(rollout.status).toBe(400);
    expect(rollout.body.detail).toMatch(/^The model xcit .* has no attention between all its tokens/);
    for (const method of ['attention', 'tokencut', 'lost']) {
      const masks = await service.call('POST', '/v1/masks', { raw: photo, query: { ...query, method } });
      expect([method, masks.status, masks.body.model]).toEqual([method, 200, 'xcit']);
    }
    expect((await remove('xcit')).status).toBe(204);
  });
});

describe('collections of several models', () => {
  const put = (collection: string, id: string, bytes: Uint8Array, kind: string) =>
    service.call('PUT', `/v1/collections/${collection}/images/${id}`, {
      raw: bytes,
      query: { metadata: JSON.stringify({ kind }) },
    });
  const search = (collection: string) =>
    service.call('POST', `/v1/collections/${collection}/search`, { raw: photo });

  it('each hold the vectors of their own, whatever is loaded', async () => {
    for (const model of ['tiny', 'conv', BUNDLED]) {
      const made = await service.call('PUT', `/v1/collections/of-${model}`, { json: { model } });
      expect([made.status, made.body.dimension]).toEqual([201, (await get(model)).dimension]);
      expect((await put(`of-${model}`, 'disc', photo, 'disc')).status).toBe(201);
      expect((await put(`of-${model}`, 'ring', other, 'ring')).status).toBe(201);
    }
    for (const model of ['tiny', 'conv', BUNDLED]) {
      const { body } = await search(`of-${model}`);
      expect(body.model).toBe(model);
      expect(body.results[0]).toMatchObject({ id: 'disc' });
      expect(body.results[0].score).toBeCloseTo(1, 5);
      const classified = await service.call('POST', `/v1/collections/of-${model}/classify`, {
        raw: other,
        query: { field: 'kind', k: 1 },
      });
      expect(classified.body).toMatchObject({ label: 'ring', model });
    }
  });

  it('load their model again when it was unloaded, for a search and for an image', async () => {
    const before = (await search('of-tiny')).body.results;
    await unload('tiny');
    expect((await search('of-tiny')).body.results).toEqual(before);
    await unload('tiny');
    expect((await put('of-tiny', 'third', photo, 'disc')).status).toBe(201);
    expect(await get('tiny')).toMatchObject({ status: 'ready' });
  });

  it('take a vector of their own length only, and no other settings', async () => {
    const vector = Array.from({ length: (await get('tiny')).dimension }, () => 1);
    const wrong = await service.call('POST', '/v1/collections/of-conv/search', { json: { vector } });
    expect(wrong.status).toBe(400);
    const again = await service.call('PUT', '/v1/collections/of-conv', { json: { model: 'tiny' } });
    expect(again.status).toBe(409);
  });

  it('keep the model that their vectors are of from being removed, until the last is gone', async () => {
    await service.call('PUT', '/v1/collections/second', { json: { model: 'conv' } });
    const refused = await remove('conv');
    expect(refused.status).toBe(409);
    expect(refused.body.detail).toMatch(/^The vectors of these collections are of conv: of-conv, second\./);
    await copyModel(service.dataDir, 'conv', 'twin');
    expect((await remove('conv')).status).toBe(204);
    expect((await search('of-conv')).body.results[0]).toMatchObject({ id: 'disc' });
    expect(await get('twin')).toMatchObject({ status: 'ready' });
    expect((await remove('twin')).status).toBe(409);
    await service.call('DELETE', '/v1/collections/second');
    await service.call('DELETE', '/v1/collections/of-conv');
    expect((await remove('twin')).status).toBe(204);
    expect((await load('twin')).status).toBe(404);
  });

  it('say so where their model was taken away behind the back of the service', async () => {
    await installTiny(service.dataDir, 'soon-gone', 'resnet.pth');
    await service.call('PUT', '/v1/collections/soon-orphan', { json: { model: 'soon-gone' } });
    await rm(join(service.dataDir, 'models', 'soon-gone'), { recursive: true });
    const { status, body } = await search('soon-orphan');
    expect(status).toBe(409);
    expect(body.detail).toMatch(/made by the model soon-gone .*which is not installed/);
  });
});
