import { createHash } from 'node:crypto';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawScene, drawScenes, type DrawnScene } from '../support/drawn-scenes.js';
import { TestService } from '../support/test-service.js';

let service: TestService;
let scene: DrawnScene;
beforeAll(async () => {
  service = await TestService.start();
  scene = await drawScene({ className: 'triangle-on-waves', width: 400, height: 260 });
});
afterAll(() => service.close());

const C = '/v1/collections';

describe('collections', () => {
  it('are created once, described, listed and deleted', async () => {
    const created = await service.call('PUT', `${C}/b`, { json: {} });
    expect(created.status).toBe(201);
    const { data } = (await service.call('GET', '/v1/models')).body;
    expect(created.body).toMatchObject({
      name: 'b',
      count: 0,
      model: data[0].id,
      modelFingerprint: data[0].fingerprint,
    });
    expect((await service.call('PUT', `${C}/b`, { json: {} })).status).toBe(200);
    expect((await service.call('PUT', `${C}/a`, { json: { m: 8, ef: 50 } })).body).toMatchObject({
      m: 8,
      ef: 50,
    });
    const { collections } = (await service.call('GET', C)).body;
    expect(collections.map(({ name }: { name: string }) => name)).toEqual(['a', 'b']);
    expect((await service.call('DELETE', `${C}/a`)).status).toBe(204);
    expect((await service.call('GET', `${C}/a`)).status).toBe(404);
  });

  it('refuse other settings than they have, other names than are good, and models that are not there', async () => {
    await service.call('PUT', `${C}/fixed`, { json: { m: 8 } });
    const { status, body } = await service.call('PUT', `${C}/fixed`, { json: { m: 16 } });
    expect(status).toBe(409);
    expect(body.detail).toMatch(/\bm\b/);
    expect((await service.call('PUT', `${C}/${encodeURIComponent('a b/c')}`, { json: {} })).status).toBe(400);
    expect((await service.call('PUT', `${C}/new`, { json: { model: 'nobody' } })).status).toBe(404);
    expect((await service.call('PUT', `${C}/new`, { json: { m: 1 } })).status).toBe(400);
    expect((await service.call('GET', `${C}/new`)).status).toBe(404);
  });
});

describe('images', () => {
  beforeAll(async () => {
    await service.call('PUT', `${C}/photos`, { json: {} });
  });

  it('are stored with id, size, hash and metadata, and their bytes come back', async () => {
    const put = await service.call('PUT', `${C}/photos/images/one`, {
      raw: scene.bytes,
      query: { metadata: '{"class":"triangle","n":1}' },
    });
    expect(put.status).toBe(201);
    expect(put.body.status).toBe('created');
    expect(put.body.image).toMatchObject({
      id: 'one',
      width: 400,
      height: 260,
      mediaType: 'image/jpeg',
      bytes: scene.bytes.length,
      metadata: { class: 'triangle', n: 1 },
      contentHash: createHash('sha256').update(scene.bytes).digest('hex'),
    });
    expect((await service.call('GET', `${C}/photos/images/one`)).body).toEqual(put.body.image);
    const content = await service.call('GET', `${C}/photos/images/one/content`);
    expect(content.headers['content-type']).toBe('image/jpeg');
    expect(Buffer.compare(content.body, scene.bytes)).toBe(0);
    const thumbnail = await service.call('GET', `${C}/photos/images/one/thumbnail`);
    expect(thumbnail.headers['content-type']).toBe('image/webp');
    const { width, height, format } = await sharp(thumbnail.body).metadata();
    expect([width, height, format]).toEqual([256, 166, 'webp']);
  });

  it('are unchanged when the same comes again, and replaced when other comes', async () => {
    const same = await service.call('PUT', `${C}/photos/images/one`, {
      files: [{ name: 'x.jpg', bytes: scene.bytes }],
      fields: { metadata: '{"n":1,"class":"triangle"}' },
    });
    expect([same.status, same.body.status]).toEqual([200, 'unchanged']);
    const other = await drawScene({ className: 'disc-on-stripes' });
    const json = {
      image: `data:image/jpeg;base64,${other.bytes.toString('base64')}`,
      metadata: { class: 'disc' },
    };
    const replaced = await service.call('PUT', `${C}/photos/images/one`, { json });
    expect([replaced.status, replaced.body.status]).toEqual([200, 'replaced']);
    const found = await service.call('POST', `${C}/photos/search`, { raw: other.bytes });
    expect(found.body.results[0]).toMatchObject({ id: 'one', metadata: { class: 'disc' } });
    expect(found.body.results[0].score).toBeGreaterThan(0.999);
    expect((await service.call('GET', `${C}/photos`)).body.count).toBe(1);
  });

  it('take ids with slashes, spaces and any script', async () => {
    for (const id of ['a/b c/ü 猫.jpg', '100%', '../up', '🙂', 'a?b#c']) {
      const path = `${C}/photos/images/${encodeURIComponent(id)}`;
      expect((await service.call('PUT', path, { raw: scene.bytes })).status).toBe(201);
      expect((await service.call('GET', path)).body.id).toBe(id);
      expect((await service.call('GET', `${path}/thumbnail`)).status).toBe(200);
      expect((await service.call('POST', `${C}/photos/search`, { json: { id, k: 1 } })).status).toBe(200);
      expect((await service.call('DELETE', path)).status).toBe(204);
      expect((await service.call('GET', path)).status).toBe(404);
    }
    expect(
      (await service.call('PUT', `${C}/photos/images/${encodeURIComponent('a\nb')}`, { raw: scene.bytes }))
        .status,
    ).toBe(400);
    expect(
      (await service.call('PUT', `${C}/photos/images/${'x'.repeat(513)}`, { raw: scene.bytes })).status,
    ).toBe(400);
  });

  it('change their metadata field by field', async () => {
    await service.call('PUT', `${C}/photos/images/meta`, {
      raw: scene.bytes,
      query: { metadata: '{"keep":1,"drop":true,"set":"a"}' },
    });
    const { status, body } = await service.call('PATCH', `${C}/photos/images/meta`, {
      json: { metadata: { drop: null, set: ['b', 'c'] } },
    });
    expect(status).toBe(200);
    expect(body.metadata).toEqual({ keep: 1, set: ['b', 'c'] });
    expect(
      (await service.call('PATCH', `${C}/photos/images/nobody`, { json: { metadata: {} } })).status,
    ).toBe(404);
    expect(
      (await service.call('PATCH', `${C}/photos/images/meta`, { json: { metadata: { a: { b: 1 } } } }))
        .status,
    ).toBe(400);
    expect((await service.call('GET', `${C}/photos/images/meta`)).body.metadata).toEqual({
      keep: 1,
      set: ['b', 'c'],
    });
  });

  it('are paged through with a cursor and a filter', async () => {
    await service.call('PUT', `${C}/paged`, { json: {} });
    const scenes = await drawScenes({ perClass: 2, width: 64, height: 64 });
    const images = scenes.map(({ bytes, className }, i) => ({
      id: `image-${String(i).padStart(2, '0')}`,
      image: bytes.toString('base64'),
      metadata: { class: className, even: i % 2 === 0 },
    }));
    const stored = await service.call('POST', `${C}/paged/images`, { json: { images } });
    expect(stored.body.results.map((result: { status: string }) => result.status)).toEqual(
      images.map(() => 'created'),
    );
    const ids: string[] = [];
    let cursor: string | null = null;
    do {
      const { body } = await service.call('GET', `${C}/paged/images`, {
        query: { limit: 5, ...(cursor === null ? {} : { cursor }) },
      });
      ids.push(...body.images.map((image: { id: string }) => image.id));
      cursor = body.nextCursor;
    } while (cursor !== null);
    expect(ids).toEqual(images.map(({ id }) => id));
    const even = await service.call('GET', `${C}/paged/images`, {
      query: { filter: '{"field":"even","eq":true}' },
    });
    expect(even.body.images).toHaveLength(6);
    expect((await service.call('GET', `${C}/paged/images`, { query: { cursor: '!' } })).status).toBe(400);
    expect((await service.call('GET', `${C}/paged/images`, { query: { limit: 0 } })).status).toBe(400);
  });

  it('get the hash of their content for an id where none is given, and one place for the same image twice', async () => {
    await service.call('PUT', `${C}/hashed`, { json: {} });
    const files = [scene, scene].map(({ bytes }, i) => ({ name: `${i}.jpg`, bytes }));
    const { body } = await service.call('POST', `${C}/hashed/images`, { files });
    const id = createHash('sha256').update(scene.bytes).digest('hex');
    expect(body.results).toEqual([
      { id, status: 'created' },
      { id, status: 'unchanged' },
    ]);
    expect((await service.call('GET', `${C}/hashed`)).body.count).toBe(1);
  });

  it('are refused where one batch gives one id to two images', async () => {
    const other = await drawScene({ className: 'ring-on-noise' });
    const files = [scene, other].map(({ bytes }, i) => ({ name: `${i}.jpg`, bytes }));
    const fields = { items: JSON.stringify([{ id: 'same' }, { id: 'same' }]) };
    const { body } = await service.call('POST', `${C}/hashed/images`, { files, fields });
    expect(body.results.map((result: { status: string }) => result.status)).toEqual(['created', 'failed']);
    expect(body.results[1].error.status).toBe(409);
  });

  it('fail both where a damaged one comes twice', async () => {
    const files = [1, 2].map((i) => ({ name: `${i}.jpg`, bytes: Buffer.from('no image') }));
    const { body } = await service.call('POST', `${C}/hashed/images`, { files });
    expect(body.results.map((result: { status: string }) => result.status)).toEqual(['failed', 'failed']);
  });
});
