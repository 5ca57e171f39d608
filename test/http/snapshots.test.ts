import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import supertest from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { restoreSnapshot } from '#dino/collections/embedded/snapshots/restore-snapshot.js';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { drawSmallScenes } from '../cli/photo-folder.js';
import { TestService } from '../support/test-service.js';

let service: TestService;
let root: string;
let photos: Buffer[];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dino-snapshots-'));
  photos = (await drawSmallScenes(4)).map(({ bytes }) => bytes);
  service = await TestService.start({ exactBelow: 1 });
  await service.call('PUT', '/v1/collections/c', { json: {} });
  for (const i of [0, 1, 2]) await put(`i${i}`, i);
});
afterAll(async () => {
  await service.close();
  await rm(root, { recursive: true });
});

async function put(id: string, i: number): Promise<number> {
  const query = { metadata: JSON.stringify({ i }) };
  return (await service.call('PUT', `/v1/collections/c/images/${id}`, { raw: photos[i % 4], query })).status;
}

/** Makes a snapshot and waits for it. @returns its id */
async function make(): Promise<string> {
  const accepted = await service.call('POST', '/v1/snapshots');
  expect(accepted.status).toBe(202);
  const job = await service.jobs.finished(accepted.body.id);
  expect(job).toMatchObject({ kind: 'snapshot', state: 'succeeded', error: undefined });
  expect(job.done).toBe(job.total);
  return job.result!.snapshot as string;
}

async function download(id: string): Promise<Buffer> {
  const response = await supertest(service.app)
    .get(`/v1/snapshots/${id}/content`)
    .buffer(true)
    .parse((stream, done) => {
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('end', () => done(null, Buffer.concat(parts)));
    });
  const body = response.body as Buffer;
  const hash = createHash('sha256').update(body).digest();
  expect(response.status).toBe(200);
  expect(response.headers).toMatchObject({
    'content-type': 'application/x-tar',
    'content-length': String(body.length),
    'content-disposition': `attachment; filename="${id}.tar"`,
    'repr-digest': `sha256=:${hash.toString('base64')}:`.replace('sha256', 'sha-256'),
    etag: `"${hash.toString('hex')}"`,
  });
  return body;
}

async function restore(bytes: Uint8Array, name: string): Promise<EmbeddedCollectionStore> {
  const file = join(root, `${name}.tar`);
  await writeFile(file, bytes);
  await restoreSnapshot({ file, dataDir: join(root, name), replace: false });
  return EmbeddedCollectionStore.open({
    dataDir: join(root, name),
    exactBelow: 1,
    onWarning: (message) => expect.unreachable(message),
  });
}

describe('/v1/snapshots', () => {
  it('makes, lists, describes, verifies, hands out and deletes one', async () => {
    const id = await make();
    const { body } = await service.call('GET', `/v1/snapshots/${id}`);
    expect(body).toMatchObject({ id, collections: [{ name: 'c', count: 3, dimension: expect.any(Number) }] });
    expect((await service.call('GET', '/v1/snapshots')).body.snapshots).toEqual([body]);
    expect((await service.call('POST', `/v1/snapshots/${id}/verify`)).body).toEqual({
      id,
      whole: true,
      problem: null,
    });
    const bytes = await download(id);
    expect([bytes.length, createHash('sha256').update(bytes).digest('hex')]).toEqual([
      body.bytes,
      body.sha256,
    ]);

    const restored = await restore(bytes, 'plain');
    const { images } = await restored.listImages('c', { limit: 10 });
    expect(images.map(({ id, metadata }) => [id, metadata])).toEqual([0, 1, 2].map((i) => [`i${i}`, { i }]));
    expect(Buffer.from((await restored.getContent('c', 'i1')).bytes)).toEqual(photos[1]);
    await restored.close();

    expect((await service.call('DELETE', `/v1/snapshots/${id}`)).status).toBe(204);
    expect((await service.call('GET', '/v1/snapshots')).body.snapshots).toEqual([]);
    expect(await readdir(join(service.dataDir, 'snapshots'))).toEqual([]);
  });

  it('holds what was acknowledged before it and nothing half done, while writes and deletes go on', async () => {
    let going = true;
    const written = new Set<string>();
    const writer = async (lane: number): Promise<void> => {
      for (let i = 0; going; i++) {
        const id = `w${lane}-${i}`;
        expect(await put(id, i)).toBe(201);
        written.add(id);
        if (i % 3 === 2) {
          expect((await service.call('DELETE', `/v1/collections/c/images/${id}`)).status).toBe(204);
        }
      }
    };
    const lanes = [0, 1, 2].map(writer);
    while (written.size < 9) await new Promise(setImmediate);
    const before = new Set([...written].filter((id) => Number(id.split('-')[1]) % 3 !== 2));
    const id = await make();
    going = false;
    await Promise.all(lanes);

    const restored = await restore(await download(id), 'busy');
    const { images } = await restored.listImages('c', { limit: 1000 });
    const ids = new Set(images.map((image) => image.id));
    for (const image of before) expect(ids).toContain(image);
    for (const image of ids) expect(image.startsWith('i') || written.has(image)).toBe(true);
    await restored.settle();
    const { graph, vectors } = await restored.indexStatus('c');
    expect([vectors, graph!.elements - graph!.deleted, graph!.missing]).toEqual([ids.size, ids.size, 0]);
    for (const { id: image } of images)
      expect((await restored.getContent('c', image)).bytes.length).toBeGreaterThan(0);
    await restored.close();
    await service.call('DELETE', `/v1/snapshots/${id}`);
  });

  it('refuses a damaged one, wherever the damage is', async () => {
    const id = await make();
    const path = join(service.dataDir, 'snapshots', `${id}.tar`);
    const whole = await readFile(path);
    const damages: [string, Buffer][] = [
      ['cut', whole.subarray(0, whole.length >> 1)],
      ['empty', Buffer.alloc(0)],
      ...[0.1, 0.3, 0.5, 0.7, 0.9].map((share): [string, Buffer] => {
        const copy = Buffer.from(whole);
        copy[Math.floor(share * (whole.length - 2048))]! ^= 1;
        return [`flipped ${share}`, copy];
      }),
    ];
    for (const [name, bytes] of damages) {
      await writeFile(path, bytes);
      const { body } = await service.call('POST', `/v1/snapshots/${id}/verify`);
      expect(body, name).toMatchObject({ id, whole: false, problem: expect.stringMatching(/.+/) });
      await expect(restore(bytes, `damaged ${name}`), name).rejects.toMatchObject({
        code: 'invalid-request',
        message: expect.stringMatching(/can't be restored: .*Nothing was changed/),
      });
      expect(await readdir(join(root, `damaged ${name}`))).toEqual([]);
    }
    await service.call('DELETE', `/v1/snapshots/${id}`);
  });

  it('makes one at a time', async () => {
    const [first, second] = await Promise.all([
      service.call('POST', '/v1/snapshots'),
      service.call('POST', '/v1/snapshots'),
    ]);
    expect([first.status, second.status].sort()).toEqual([202, 409]);
    const started = first.status === 202 ? first : second;
    await service.call('DELETE', `/v1/jobs/${started.body.id}`);
    const job = await service.jobs.finished(started.body.id);
    const names = await readdir(join(service.dataDir, 'snapshots'));
    expect(names).toHaveLength(job.state === 'cancelled' ? 0 : 2);
    await service.call('DELETE', `/v1/snapshots/${await make()}`);
  });

  it.each(['20260102T030405Z-0badcafe', 'x%2F..%2Fdino', 'dino.sqlite'])('does not know %s', async (id) => {
    for (const [method, rest] of [
      ['GET', ''],
      ['GET', '/content'],
      ['POST', '/verify'],
      ['DELETE', ''],
    ] as const) {
      const answer = await service.call(method, `/v1/snapshots/${id}${rest}`);
      expect(answer.status).toBe(404);
    }
  });
});
