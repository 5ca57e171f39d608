import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DinoClientError } from '#dino/client/dino-client-error.js';
import { createClient, type DinoClient } from '#dino/client/dino-client.js';
import { textFile, type DrawnScene } from '../support/drawn-scenes.js';
import { spawnServer, type ServerProcess } from '../support/server-process.js';
import { drawSmallScenes, makeFolder } from './photo-folder.js';

let dataDir: string;
let server: ServerProcess;
let client: DinoClient;
let scenes: DrawnScene[];
beforeAll(async () => {
  dataDir = await makeFolder();
  server = await spawnServer({ dataDir, environment: { DINO_MAX_REQUESTS: '2' } });
  client = createClient({ url: `${server.url}/` });
  scenes = await drawSmallScenes(2);
  await client.createCollection('filled');
  await client.putImages('filled', imagesOf(scenes));
});
afterAll(async () => {
  await server.stop();
  await rm(dataDir, { recursive: true, force: true });
});

function imagesOf(scenes: readonly DrawnScene[]) {
  return scenes.map(({ bytes, className }, index) => ({
    id: `${index}`,
    image: bytes,
    metadata: { class: className },
  }));
}

async function refusal(call: Promise<unknown>): Promise<DinoClientError> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(DinoClientError);
  return error as DinoClientError;
}

describe('the client', () => {
  it('searches in batches and with every option, counts values, and finds near-duplicates', async () => {
    const image = scenes[0]!.bytes;
    const options = { k: 3, groupBy: 'class', diversity: undefined, withVectors: 'base64' } as const;
    const alone = await client.search('filled', { image }, options);
    expect(alone.results[0]).toMatchObject({ id: '0', group: scenes[0]!.className });
    const { answers } = await client.searchMany('filled', [
      { image, options },
      { id: 'nobody' },
      { id: '0', options: { k: 2, diversity: { lambda: 0.3 } } },
    ]);
    expect(answers[0]!.results.map(({ id }) => id)).toEqual(alone.results.map(({ id }) => id));
    expect(answers[1]!.error?.status).toBe(404);
    expect(answers[2]!.results).toHaveLength(2);
    const varied = await client.search('filled', { image }, { diversity: { lambda: 0.3 }, offset: 1 });
    expect(varied.results.map(({ id }) => id)).not.toContain('0');
    const { values, total } = await client.facets('filled', 'class', { limit: 1 });
    expect([values, total]).toEqual([[{ value: expect.any(String), count: 2 }], scenes.length]);
    expect(await client.countImages('filled', { field: 'class', eq: values[0]!.value })).toBe(2);
    const job = await client.waitForJob((await client.findDuplicates('filled', { threshold: 0 })).id);
    expect(job).toMatchObject({ state: 'succeeded', result: { images: scenes.length, exact: true } });
  });

  it('gives the tokens of the patches beside the embeddings', async () => {
    const images = [scenes[0]!.bytes, scenes[1]!.bytes];
    const { vectors, tokens } = await client.embedWithTokens(images, { size: 64 });
    expect(vectors).toEqual((await client.embed(images)).vectors);
    for (const { grid, width, height, dimension, values } of tokens) {
      expect({ grid, width, height }).toEqual({ grid: { height: 3, width: 4 }, width: 128, height: 96 });
      expect(values).toHaveLength(12 * dimension);
    }
    expect(tokens[0]!.values).not.toEqual(tokens[1]!.values);
  });

  it('finds what belongs together in two images, given, stored or one of each', async () => {
    const [first, second] = [scenes[0]!.bytes, scenes[1]!.bytes];
    const options = { size: 64, maxPairs: 5 };
    const given = await client.correspondences([first, second], options);
    expect(given.pairs.length).toBeGreaterThan(0);
    const mixed = await client.correspondences([{ collection: 'filled', id: '0' }, second], options);
    expect(mixed).toEqual(given);
    const picture = await client.correspondencesPicture([first, new Blob([second])], options);
    expect(await sharp(picture).metadata()).toMatchObject({ format: 'png', width: 1452, height: 540 });
  });

  it('explains why a search found an image, in numbers and as a picture', async () => {
    const given = await client.explain('filled', '1', scenes[0]!.bytes, { size: 64 });
    expect(given.query.agreement).toHaveLength(12);
    const stored = await client.explain('filled', '1', { collection: 'filled', id: '0' }, { size: 64 });
    expect(stored).toEqual(given);
    const picture = await client.explainPicture('filled', '1', scenes[0]!.bytes, { size: 64, opacity: 0.4 });
    expect(await sharp(picture).metadata()).toMatchObject({ format: 'png', width: 1452, height: 540 });
  });

  it('searches by a region of an image, given or stored', async () => {
    const region = { bbox: [10, 10, 60, 50] } as const;
    const given = await client.search('filled', { image: scenes[2]!.bytes, region });
    const stored = await client.search('filled', { image: { collection: 'filled', id: '2' }, region });
    expect(given.results).toEqual(stored.results);
    const whole = await client.search('filled', { image: scenes[2]!.bytes });
    expect(given.results[0]!.score).toBeLessThan(whole.results[0]!.score);
    const image = scenes[2]!.bytes;
    const pooled = await client.search('filled', { image, region, regionVector: 'tokens' });
    expect(pooled.results).not.toEqual(given.results);
  });

  it('creates, confirms, describes, lists and deletes collections', async () => {
    expect(await client.createCollection('one', { m: 8 })).toMatchObject({
      created: true,
      collection: { name: 'one', m: 8 },
    });
    expect(await client.createCollection('one', { m: 8 })).toMatchObject({ created: false });
    expect((await refusal(client.createCollection('one', { m: 9 }))).code).toBe('conflict');
    expect(await client.getCollection('one')).toMatchObject({ count: 0 });
    expect((await client.listCollections()).map(({ name }) => name)).toContain('one');
    await client.deleteCollection('one');
    expect((await client.listCollections()).map(({ name }) => name)).not.toContain('one');
  });

  it('describes the models', async () => {
    const [model] = await client.listModels();
    expect(await client.getModel(model!.id)).toEqual(model);
  });

  it('stores, describes, patches, gives back and deletes images, whatever their ids are made of', async () => {
    await client.createCollection('images');
    const id = 'a folder/ümläut %2F?.jpg';
    const [scene] = scenes;
    expect(await client.putImage('images', id, scene!.bytes, { class: 'disc', n: 1 })).toMatchObject({
      status: 'created',
    });
    expect(
      await client.putImage('images', id, new Blob([scene!.bytes]), { class: 'disc', n: 1 }),
    ).toMatchObject({ status: 'unchanged' });
    const copy = await client.putImage('images', 'copy', { collection: 'images', id }, { from: id });
    expect(copy.image).toMatchObject({
      contentHash: (await client.getImage('images', id)).contentHash,
      metadata: { from: id },
    });
    expect((await client.patchImage('images', id, { n: null, tag: ['x'] })).metadata).toEqual({
      class: 'disc',
      tag: ['x'],
    });
    expect(Buffer.from(await client.getContent('images', id)).equals(scene!.bytes)).toBe(true);
    expect((await sharp(await client.getThumbnail('images', id)).metadata()).format).toBe('webp');
    await client.deleteImage('images', id);
    expect((await refusal(client.getImage('images', id))).status).toBe(404);
  });

  it('stores a batch, and lists it page by page', async () => {
    await client.createCollection('batch');
    const images = imagesOf(scenes);
    const results = await client.putImages('batch', [...images, { image: textFile() }]);
    expect(results.slice(0, 12).map(({ status }) => status)).toEqual(images.map(() => 'created'));
    expect(results[12]).toMatchObject({ status: 'failed', error: { status: 415 } });
    const listed: string[] = [];
    for await (const { id } of client.listImages('batch', { pageSize: 5 })) listed.push(id);
    expect(listed).toEqual(images.map(({ id }) => id).sort());
    const filter = { field: 'class', eq: 'ring-on-noise' };
    const rings: unknown[] = [];
    for await (const { metadata } of client.listImages('batch', { pageSize: 1, filter }))
      rings.push(metadata.class);
    expect(rings).toEqual(['ring-on-noise', 'ring-on-noise']);
  });

  it('searches and classifies by bytes, id, vector, stored image and examples alike', async () => {
    const { vectors } = await client.embed([scenes[4]!.bytes]);
    const filter = { field: 'class', exists: true };
    const options = { k: 3, filter };
    const byBytes = await client.search('filled', { image: scenes[4]!.bytes }, options);
    expect(byBytes.results[0]).toMatchObject({ id: '4', metadata: { class: 'triangle-on-waves' } });
    expect(byBytes.results[0]!.score).toBeGreaterThanOrEqual(0.999);
    const ids = byBytes.results.map(({ id }) => id);
    for (const query of [{ vector: vectors[0]! }, { image: { collection: 'filled', id: '4' } }]) {
      expect((await client.search('filled', query, options)).results.map(({ id }) => id)).toEqual(ids);
    }
    const others = await client.search('filled', { id: '4' }, { k: 2, filter });
    expect(others.results.map(({ id }) => id)).toEqual(ids.slice(1));
    const alike = await client.search('filled', { positive: ['4'], negative: [] }, { k: 2 });
    expect(alike.results.map(({ id }) => id)).toEqual(ids.slice(1));
    const votes = { field: 'class', k: 1 };
    for (const query of [{ image: scenes[4]!.bytes }, { vector: vectors[0]! }]) {
      expect(await client.classify('filled', query, votes)).toMatchObject({ label: 'triangle-on-waves' });
    }
  });

  it('gives attention and masks as numbers and as pictures, of bytes and of stored images', async () => {
    const stored = { collection: 'filled', id: '0' };
    for (const image of [scenes[0]!.bytes, stored]) {
      expect(await client.attention(image, { head: 0 })).toMatchObject({
        width: 128,
        height: 96,
        attention: [expect.any(Array)],
      });
      expect((await client.masks(image, { head: 'union' })).masks[0]).toMatchObject({
        head: null,
        rle: { size: [96, 128] },
      });
      const pictures = [
        await client.attentionPicture(image, { head: 0, overlay: true }),
        await client.maskPicture(image, { picture: 'overlay' }),
      ];
      for (const picture of pictures) {
        expect(await sharp(picture).metadata()).toMatchObject({ format: 'png', width: 128, height: 96 });
      }
    }
  });

  it('is told what is wrong, with the code, the status and the request', async () => {
    const error = await refusal(client.embed([textFile()]));
    expect(error).toMatchObject({ status: 415, code: 'unsupported-image', isOverload: false });
    expect(error.requestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(error.message).toBe(error.detail);
    expect(error.detail).toMatch(/image/);
  });
});

describe('a client of an overloaded server', () => {
  async function metric(name: string): Promise<number> {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    const line = text.split('\n').find((line) => line.startsWith(`${name} `));
    return Number(line?.slice(name.length) ?? 0);
  }

  async function until(isSo: () => Promise<boolean>): Promise<void> {
    let so = await isSo();
    while (!so) so = await isSo();
  }

  const inside = () => metric('dino_http_requests_in_progress');
  const turnedAway = () => metric('dino_rejected_total{reason="requests"}');

  /** Takes every place with requests whose bodies do not end. */
  async function occupy(): Promise<{ release(): Promise<void> }> {
    const { hostname, port } = new URL(server.url);
    const head =
      'POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n';
    const sockets = [0, 1].map(() => connect(Number(port), hostname));
    for (const socket of sockets) socket.write(head);
    await until(async () => (await inside()) === 2);
    return {
      async release() {
        for (const socket of sockets) socket.destroy();
        await until(async () => (await inside()) === 0);
      },
    };
  }

  it('tries again until there is a place', async () => {
    const before = await turnedAway();
    const places = await occupy();
    const models = client.listModels();
    await until(async () => (await turnedAway()) > before);
    await places.release();
    expect(await models).toHaveLength(1);
  });

  it('gives up after as many attempts as it was told, and says when to come back', async () => {
    const places = await occupy();
    const before = await turnedAway();
    const error = await refusal(createClient({ url: server.url, maxRetries: 0 }).listModels());
    expect(await turnedAway()).toBe(before + 1);
    await places.release();
    expect(error).toMatchObject({ status: 429, code: 'overloaded', retryAfterSeconds: 1, isOverload: true });
  });

  it('ends at once when it is aborted while it waits', async () => {
    const places = await occupy();
    const before = await turnedAway();
    const controller = new AbortController();
    const patient = createClient({ url: server.url, maxRetries: 1000, signal: controller.signal });
    const call = patient.listModels();
    await until(async () => (await turnedAway()) > before);
    controller.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    await places.release();
  });
});

describe('a client of what is no dino-server', () => {
  it('says so, and does not take it for one', async () => {
    const site = createServer((_request, response) => response.end('<html>')).listen(0, '127.0.0.1');
    await once(site, 'listening');
    const stranger = createClient({ url: `http://127.0.0.1:${(site.address() as AddressInfo).port}` });
    expect(await refusal(stranger.listModels())).toMatchObject({
      code: 'unexpected-answer',
      status: undefined,
    });
    expect(await stranger.isAlive()).toBe(false);
    site.close();
    site.closeAllConnections();
    await once(site, 'close');
    expect(await refusal(stranger.listModels())).toMatchObject({ code: 'unreachable', status: undefined });
    expect(await stranger.isAlive()).toBe(false);
    expect(await client.isAlive()).toBe(true);
  });
});
