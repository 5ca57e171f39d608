import { once } from 'node:events';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DinoClient } from '#dino/client/dino-client.js';
import { drawScene, type DrawnScene } from '../support/drawn-scenes.js';
import { installTiny } from '../support/installed-models.js';
import { TestService } from '../support/test-service.js';

type Box = [x: number, y: number, width: number, height: number];

const C = '/v1/collections/things';
const FIRST: Box = [40, 40, 130, 130];
const SECOND: Box = [310, 170, 110, 110];

/** The shape of a scene alone, as a picture of `size` px. */
function shapeOf({ bytes, bbox: [left, top, width, height] }: DrawnScene, size: number): Promise<Buffer> {
  return sharp(bytes)
    .extract({ left, top, width, height })
    .resize(size, size, { fit: 'fill' })
    .png()
    .toBuffer();
}

function iou([x, y, w, h]: Box, [left, top, width, height]: Box): number {
  const across = Math.max(0, Math.min(x + w, left + width) - Math.max(x, left));
  const down = Math.max(0, Math.min(y + h, top + height) - Math.max(y, top));
  return (across * down) / (w * h + width * height - across * down);
}

describe('images with their objects', () => {
  let service: TestService;
  let scene: Buffer;
  let other: Buffer;
  let shapes: Buffer[];
  beforeAll(async () => {
    service = await TestService.start();
    const disc = await drawScene({ className: 'disc-on-stripes', format: 'png' });
    const square = await drawScene({ className: 'square-on-checks', format: 'png' });
    shapes = [await shapeOf(disc, 130), await shapeOf(square, 110)];
    const canvas = { width: 480, height: 320, channels: 3, background: '#dde' } as const;
    scene = await sharp({ create: canvas })
      .composite([
        { input: shapes[0], left: FIRST[0], top: FIRST[1] },
        { input: shapes[1], left: SECOND[0], top: SECOND[1] },
      ])
      .png()
      .toBuffer();
    other = (await drawScene({ className: 'ring-on-noise', format: 'png' })).bytes;
    await service.call('PUT', C, { json: {} });
    await put('plain', other);
  });
  afterAll(() => service.close());

  const put = (id: string, raw: Uint8Array, query = {}) =>
    service.call('PUT', `${C}/images/${id}`, { raw, type: 'image/png', query });
  const search = (raw: Uint8Array, query: object) =>
    service.call('POST', `${C}/search`, { raw, type: 'image/png', query: { k: 5, ...query } });

  it('finds an image by each of its objects, with a box that is where it was drawn', async () => {
    const stored = await put('scene', scene, { objects: 'maskcut', maxObjects: 4 });
    expect(stored.status).toBe(201);
    const { body: image } = await service.call('GET', `${C}/images/scene`);
    expect(image.objects).toEqual(stored.body.image.objects);
    expect(image.objects).toMatchObject({ method: 'maskcut', max: 4 });
    const boxes = image.objects.found.map(({ bbox }: { bbox: Box }) => bbox);
    for (const [i, place] of [FIRST, SECOND].entries()) {
      const { status, body } = await search(scene, {
        region: JSON.stringify({ bbox: place }),
        objects: 'both',
        minScore: 0.5,
      });
      expect(status).toBe(200);
      const [hit] = body.results;
      expect(hit.id).toBe('scene');
      expect(iou(hit.bbox, place)).toBeGreaterThan(0.7);
      expect(boxes).toContainEqual(hit.bbox);
      const whole = (await search(shapes[i]!, {})).body.results.find(
        ({ id }: { id: string }) => id === 'scene',
      );
      expect(hit.score).toBeGreaterThan(whole.score);
      expect(whole).not.toHaveProperty('bbox');
    }
    const all = (await search(scene, { objects: 'both' })).body.results;
    expect(all.map(({ id }: { id: string }) => id)).toEqual(['scene', 'plain']);
    expect(all[0]).not.toHaveProperty('bbox');
    const objects = (await search(scene, { objects: 'objects', withVectors: 'float' })).body.results;
    expect(objects.map(({ id }: { id: string }) => id)).toEqual(['scene']);
    const same = await service.call('POST', `${C}/search`, {
      json: { vector: objects[0].vector, objects: 'objects' },
    });
    expect(same.body.results[0]).toMatchObject({ bbox: objects[0].bbox, score: expect.closeTo(1, 5) });
  });

  it('stores the vector of the box cut out, as a search by that region has it', async () => {
    await put('scene', scene, { objects: 'maskcut', maxObjects: 4 });
    const { found } = (await service.call('GET', `${C}/images/scene`)).body.objects;
    const { bbox } = found[0];
    const { body } = await search(scene, { region: JSON.stringify({ bbox }), objects: 'objects' });
    expect(body.results[0]).toMatchObject({ id: 'scene', bbox, score: expect.closeTo(1, 4) });
  });

  it('computes nothing for the same setting, and makes the image anew for another or none', async () => {
    const status = async (query: object) => (await put('again', scene, query)).body.status;
    expect(await status({ objects: 'tokencut' })).toBe('created');
    expect(await status({ objects: 'tokencut', maxObjects: 5 })).toBe('unchanged');
    expect(await status({ objects: 'lost' })).toBe('replaced');
    expect(await status({ objects: 'maskcut' })).toBe('replaced');
    expect(await status({ objects: 'maskcut', maxObjects: 3 })).toBe('unchanged');
    expect(await status({})).toBe('replaced');
    const { body } = await service.call('GET', `${C}/images/again`);
    expect(body).not.toHaveProperty('objects');
    await service.call('DELETE', `${C}/images/again`);
  });

  it('takes JSON, multipart and the client alike, and forgets objects with their image', async () => {
    const count = async () => (await service.call('GET', C)).body.objects;
    const before = await count();
    const objects = { method: 'maskcut', max: 2 } as const;
    const image = `data:image/png;base64,${scene.toString('base64')}`;
    const one = await service.call('PUT', `${C}/images/a`, { json: { image, objects } });
    expect(one.body.image.objects).toMatchObject({ ...objects, found: [{}, {}] });
    const many = await service.call('POST', `${C}/images`, {
      json: { images: [{ id: 'b', image }], objects },
    });
    expect(many.body.results).toEqual([{ id: 'b', status: 'created' }]);
    const files = await service.call('POST', `${C}/images`, {
      files: [{ name: 'images', bytes: scene }],
      query: { items: '[{"id":"c"}]', objects: 'maskcut', maxObjects: 2 },
    });
    expect(files.body.results).toEqual([{ id: 'c', status: 'created' }]);
    const server = service.app.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const { port } = server.address() as { port: number };
      const client = new DinoClient({ url: `http://127.0.0.1:${port}` });
      const [result] = await client.putImages('things', [{ id: 'd', image: scene }], { objects });
      expect(result).toMatchObject({ id: 'd', status: 'created' });
      expect(await client.putImage('things', 'd', scene, {}, { objects })).toMatchObject({
        status: 'unchanged',
        image: { objects },
      });
    } finally {
      server.close();
    }
    expect(await count()).toBe(before + 8);
    for (const id of ['a', 'b', 'c', 'd']) await service.call('DELETE', `${C}/images/${id}`);
    expect(await count()).toBe(before);
  });

  it('says what is wrong and stores nothing', async () => {
    const refused = async (query: object, reason: string) => {
      const { status, body } = await put('bad', scene, query);
      expect([status, body.detail]).toEqual([400, expect.stringContaining(reason)]);
      expect((await service.call('GET', `${C}/images/bad`)).status).toBe(404);
    };
    await refused({ objects: 'maskcut', maxObjects: 0 }, 'maxObjects');
    await refused({ objects: 'maskcut', maxObjects: 11 }, 'maxObjects');
    await refused({ objects: 'magic' }, 'objects');
    await refused({ maxObjects: 3 }, 'maxObjects needs objects');
    for (const query of [{ objects: 'all' }, { objects: 'both', suppressDuplicates: 0.9 }])
      expect((await search(scene, query)).status).toBe(400);
    await installTiny(service.dataDir, 'conv', 'resnet.pth');
    await service.call('PUT', '/v1/collections/keyless', { json: { model: 'conv' } });
    const keyless = await service.call('PUT', '/v1/collections/keyless/images/x', {
      raw: scene,
      type: 'image/png',
      query: { objects: 'lost' },
    });
    expect([keyless.status, keyless.body.detail]).toEqual([400, expect.stringContaining('conv')]);
    expect((await service.call('GET', '/v1/collections/keyless')).body).toMatchObject({
      count: 0,
      objects: 0,
    });
    await put('scene', scene, { objects: 'maskcut', maxObjects: 4 });
    const reembed = await service.call('POST', `${C}/reembed`, { json: { model: 'conv' } });
    expect([reembed.status, reembed.body.detail]).toEqual([409, expect.stringContaining('objects')]);
  });
});
